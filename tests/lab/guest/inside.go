package guest

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Environment is the variable by which the driver's main function knows that it is the first process of a guest, and is to
// call [Main] with its value. The kernel hands down what it does not know of its command line.
const Environment = "VIPWARD_GUEST_JOB"

// Inside is what the first process in the guest has to do.
type Inside struct {
	Args, Env []string
	// Dir is the working directory of the command.
	Dir string
	// Share is the directory that is writable from within.
	Share string
	// Job is the host's directory of this run.
	Job string
	// Kernel is the version whose modules are to be loaded.
	Kernel string
}

// wanted are the modules that the laboratory uses. Those that are built in are passed over by modprobe.
func wanted() []string {
	return []string{
		"veth", "bridge", "dummy", "tun", "ipip", "ip6_tunnel", "ip_gre", "ip6_gre",
		"fou", "sctp", "ip_vs", "ip_vs_rr", "ip_vs_wrr", "ip_vs_lc", "ip_vs_wlc", "ip_vs_sh",
		"ip_vs_mh", "sch_netem", "sch_ingress", "cls_matchall", "cls_flower", "act_gact",
	}
}

// save puts the order into the job's directory, and lays out the module directory for a modprobe before the overlay.
func (i Inside) save() error {
	text, err := json.Marshal(i)
	if err != nil {
		return err
	}
	lib := filepath.Join(i.Job, "lib", "modules")
	return errors.Join(
		os.MkdirAll(lib, 0o755),
		os.Symlink(filepath.Join(modules, i.Kernel), filepath.Join(lib, i.Kernel)),
		os.WriteFile(filepath.Join(i.Job, "order"), text, 0o644))
}

// Main is the first process of the guest. It does not return: the guest's power goes off.
func Main(job string) {
	code, err := inside(job)
	if err != nil {
		fmt.Fprintln(os.Stderr, "guest:", err)
		code = 125
	}
	if err := report(job, code); err != nil {
		fmt.Fprintln(os.Stderr, "guest: report the exit code:", err)
	}
	unix.Sync()
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF); err != nil {
		fmt.Fprintln(os.Stderr, "guest: power off:", err)
	}
}

// report writes the exit code where the host looks for it, and sees to it that it gets there.
func report(job string, code int) error {
	f, err := os.Create(filepath.Join(job, "exit"))
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(f, code)
	return errors.Join(err, f.Sync(), f.Close())
}

func inside(job string) (int, error) {
	var i Inside
	text, err := os.ReadFile(filepath.Join(job, "order"))
	if err != nil {
		return 0, err
	}
	if err := json.Unmarshal(text, &i); err != nil {
		return 0, err
	}
	if err := os.Setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/go/bin"); err != nil {
		return 0, err
	}
	if err := i.root(); err != nil {
		return 0, fmt.Errorf("lay out the root file system: %w", err)
	}
	if out, err := exec.Command("modprobe", append([]string{"-a"}, wanted()...)...).CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "guest: modprobe: %v: %s\n", err, out) // what needs the module will say more
	}
	return i.command()
}

// command runs the command on the two serial lines, which are the host's standard output and error.
func (i Inside) command() (int, error) {
	out, err := terminal("/dev/ttyS0")
	if err != nil {
		return 0, err
	}
	defer out.Close()
	errs, err := terminal("/dev/ttyS1")
	if err != nil {
		return 0, err
	}
	defer errs.Close()
	cmd := exec.Command(i.Args[0], i.Args[1:]...)
	cmd.Env = append(os.Environ(), "HOME=/root", "LANG=C.UTF-8")
	cmd.Env = append(cmd.Env, i.Env...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = i.Dir, out, errs
	err = cmd.Run()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		return 0, err
	}
	for _, f := range []*os.File{out, errs} {
		drain(f)
	}
	return cmd.ProcessState.ExitCode(), nil
}

// terminal opens a serial line without any translation of what is written.
func terminal(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	t, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	t.Oflag &^= unix.OPOST
	t.Lflag &^= unix.ECHO | unix.ICANON | unix.ISIG
	return f, unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, t)
}

// drain waits until the line has sent everything (tcdrain, termios(3)), but not for ever.
func drain(f *os.File) {
	done := make(chan struct{})
	go func() {
		_ = unix.IoctlSetInt(int(f.Fd()), unix.TCSBRK, 1) // an error here costs output only
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
	}
}
