package guest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// stage is where the new root is laid out. It exists on every Debian.
const stage = "/mnt"

// mount is one mount on the new root; its directory is made where it is missing.
type mount struct {
	kind, source, target, options string
	flags                         uintptr
}

// root puts an overlay in memory over the host's file system, mounts what a system has, and makes it the root.
func (i Inside) root() error {
	if err := i.overlay(); err != nil {
		return err
	}
	root := filepath.Join(stage, "root")
	lib := filepath.Join("/lib/modules", i.Kernel)
	list := []mount{
		{"proc", "proc", "/proc", "", 0},
		{"sysfs", "sys", "/sys", "", 0},
		{"devtmpfs", "dev", "/dev", "", 0},
		{"devpts", "pts", "/dev/pts", "ptmxmode=666", 0},
		{"tmpfs", "shm", "/dev/shm", "", 0},
		{"tmpfs", "run", "/run", "mode=755", 0},
		{"", filepath.Join(modules, i.Kernel), lib, "", unix.MS_BIND},
		{"hostfs", "none", i.Job, i.Job, 0},
	}
	if i.Share != "" {
		list = append(list, mount{"hostfs", "none", i.Share, i.Share, 0})
	}
	for _, m := range list {
		m.target = filepath.Join(root, m.target)
		if err := m.do(); err != nil {
			return err
		}
	}
	return pivot(root)
}

// overlay needs the module of that name, which is looked for on the host's file system still.
func (i Inside) overlay() error {
	if err := (mount{"proc", "proc", "/proc", "", 0}).do(); err != nil {
		return err
	}
	if err := (mount{"tmpfs", "guest", stage, "mode=755,size=100%", 0}).do(); err != nil {
		return err
	}
	if out, err := exec.Command("modprobe", "-d", i.Job, "overlay").CombinedOutput(); err != nil {
		return fmt.Errorf("modprobe overlay: %w: %s", err, out)
	}
	upper, work := filepath.Join(stage, "upper"), filepath.Join(stage, "work")
	for _, dir := range []string{upper, work} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	options := fmt.Sprintf("lowerdir=/,upperdir=%s,workdir=%s", upper, work)
	return mount{"overlay", "overlay", filepath.Join(stage, "root"), options, 0}.do()
}

func (m mount) do() error {
	if err := os.MkdirAll(m.target, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(m.source, m.target, m.kind, m.flags, m.options); err != nil {
		return fmt.Errorf("mount %s%s on %s: %w", m.kind, m.source, m.target, err)
	}
	return nil
}

func pivot(root string) error {
	old := filepath.Join(root, "mnt", "old")
	if err := os.MkdirAll(old, 0o755); err != nil {
		return err
	}
	if err := unix.PivotRoot(root, old); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	return unix.Unmount("/mnt/old", unix.MNT_DETACH)
}
