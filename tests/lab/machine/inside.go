package machine

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/tests/lab/root"
)

// Command is the argument by which the driver's main function knows that it is to call [Main].
const Command = "machine"

// inside is what the first process has to set up.
type inside struct{ Name string }

// unit is the one of [target].
const unit = "[Unit]\nDescription=The machine is up\nWants=systemd-journald.service\nAfter=systemd-journald.service\n"

// unitDir is where distributions and `make install` put units.
const unitDir = "/usr/lib/systemd/system"

// Main is the first process of a machine until it becomes systemd.
func Main(spec string) error {
	var i inside
	if err := json.Unmarshal([]byte(spec), &i); err != nil {
		return err
	}
	runtime.LockOSThread() // the control groups are those of the thread that becomes systemd
	if err := unix.Unshare(unix.CLONE_NEWCGROUP); err != nil {
		return fmt.Errorf("make a namespace of control groups: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make the mounts private: %w", err)
	}
	if err := i.layOut(); err != nil {
		return fmt.Errorf("lay out the root file system: %w", err)
	}
	env := []string{"container=lab", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "LANG=C.UTF-8"}
	return unix.Exec(systemd, []string{systemd, "--system", "--unit=" + target, "--show-status=no", "--log-target=journal"}, env)
}

// layOut makes the root. What this machine has enabled is not started: all that wants something is empty.
func (i inside) layOut() error {
	wants, err := filepath.Glob(unitDir + "/*.wants")
	if err != nil {
		return err
	}
	top, err := root.Overlay(append(wants, "/etc/systemd/system", "/usr/lib/systemd/system-generators", "/etc/vipward")...)
	if err != nil {
		return err
	}
	for _, m := range mounts() {
		m.Target = filepath.Join(top, m.Target)
		if err := m.Do(); err != nil {
			return err
		}
	}
	for _, dir := range []string{"fs", "kernel", "vm"} {
		if err := readOnly(filepath.Join(top, "proc/sys", dir)); err != nil {
			return err
		}
	}
	if err := devices(top); err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(top, "etc/hostname"), []byte(i.Name+"\n"), 0o644),
		os.WriteFile(filepath.Join(top, unitDir, target), []byte(unit), 0o644),
		root.Pivot(top))
}

func mounts() []root.Mount {
	return []root.Mount{
		{Kind: "proc", Source: "proc", Target: "/proc"},
		{Kind: "sysfs", Source: "sys", Target: "/sys", Flags: unix.MS_RDONLY},
		{Kind: "cgroup2", Source: "cgroup", Target: "/sys/fs/cgroup"},
		{Kind: "tmpfs", Source: "dev", Target: "/dev", Options: "mode=755"},
		{Kind: "tmpfs", Source: "shm", Target: "/dev/shm"},
		{Kind: "devpts", Source: "pts", Target: "/dev/pts", Options: "newinstance,ptmxmode=666"},
		{Kind: "tmpfs", Source: "run", Target: "/run", Options: "mode=755"},
	}
}

// readOnly keeps what a system sets at its start from the machine that this one runs on.
func readOnly(dir string) error {
	return errors.Join(
		root.Mount{Source: dir, Target: dir, Flags: unix.MS_BIND}.Do(),
		root.Mount{Target: dir, Flags: unix.MS_BIND | unix.MS_REMOUNT | unix.MS_RDONLY}.Do())
}

// devices are those that every machine has.
func devices(top string) error {
	for _, name := range []string{"null", "zero", "full", "random", "urandom", "tty"} {
		path := filepath.Join("/dev", name)
		f, err := os.Create(filepath.Join(top, path))
		if err != nil {
			return err
		}
		f.Close()
		if err := unix.Mount(path, f.Name(), "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("bind %s: %w", path, err)
		}
	}
	return os.Symlink("pts/ptmx", filepath.Join(top, "dev/ptmx"))
}
