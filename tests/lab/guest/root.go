package guest

import (
	"fmt"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/tests/lab/root"
)

// root puts an overlay in memory over the host's file system, mounts what a system has, and makes it the root.
func (i Inside) root() error {
	top, err := i.overlay()
	if err != nil {
		return err
	}
	list := []root.Mount{
		{Kind: "proc", Source: "proc", Target: "/proc"},
		{Kind: "sysfs", Source: "sys", Target: "/sys"},
		{Kind: "devtmpfs", Source: "dev", Target: "/dev"},
		{Kind: "devpts", Source: "pts", Target: "/dev/pts", Options: "ptmxmode=666"},
		{Kind: "tmpfs", Source: "shm", Target: "/dev/shm"},
		{Kind: "tmpfs", Source: "run", Target: "/run", Options: "mode=755"},
		{Source: filepath.Join(modules, i.Kernel), Target: filepath.Join("/lib/modules", i.Kernel), Flags: unix.MS_BIND},
		{Kind: "hostfs", Source: "none", Target: i.Job, Options: i.Job},
	}
	if i.Share != "" {
		list = append(list, root.Mount{Kind: "hostfs", Source: "none", Target: i.Share, Options: i.Share})
	}
	for _, m := range list {
		m.Target = filepath.Join(top, m.Target)
		if err := m.Do(); err != nil {
			return err
		}
	}
	return root.Pivot(top)
}

// overlay needs the module of that name, which is looked for on the host's file system still.
func (i Inside) overlay() (string, error) {
	if err := (root.Mount{Kind: "proc", Source: "proc", Target: "/proc"}).Do(); err != nil {
		return "", err
	}
	if out, err := exec.Command("modprobe", "-d", i.Job, "overlay").CombinedOutput(); err != nil {
		return "", fmt.Errorf("modprobe overlay: %w: %s", err, out)
	}
	return root.Overlay()
}
