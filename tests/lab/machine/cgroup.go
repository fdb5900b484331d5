package machine

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/tests/lab/root"
)

// newCgroup makes a control group of version 2, whose hierarchy every kernel of today has (Documentation/admin-guide/cgroup-v2.rst).
// It is mounted only where it is not: a mount more would change the options of the first.
func newCgroup() (string, error) {
	mounts, err := os.ReadFile("/proc/mounts")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); f[2] == "cgroup2" {
			return os.MkdirTemp(f[1], "vw-")
		}
	}
	dir, err := os.MkdirTemp("", "cgroup-")
	if err != nil {
		return "", err
	}
	if err := (root.Mount{Kind: "cgroup2", Source: "cgroup", Target: dir}).Do(); err != nil {
		return "", errors.Join(err, os.Remove(dir))
	}
	return os.MkdirTemp(dir, "vw-")
}

// removeCgroup removes a control group with those in it, the innermost first. The last of their processes may be on its way out.
func removeCgroup(top string) error {
	var dirs []string
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, path)
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, dir := range slices.Backward(dirs) {
		err := os.Remove(dir)
		for range 50 {
			if !errors.Is(err, unix.EBUSY) {
				break
			}
			time.Sleep(20 * time.Millisecond)
			err = os.Remove(dir)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
