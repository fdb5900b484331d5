// Package root lays out a root file system: this machine's own below, and memory over it, so that nothing which is written there
// reaches the machine. It is for the first process of a mount namespace of its own, or of a guest.
package root

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// stage is where the new root is laid out. It exists on every Debian.
const stage = "/mnt"

// Mount is one mount; its directory is made where it is missing. Without a kind, flags say what it is: a bind for one.
type Mount struct {
	Kind, Source, Target, Options string
	Flags                         uintptr
}

// Do mounts it.
func (m Mount) Do() error {
	if err := os.MkdirAll(m.Target, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(m.Source, m.Target, m.Kind, m.Flags, m.Options); err != nil {
		return fmt.Errorf("mount %s%s on %s: %w", m.Kind, m.Source, m.Target, err)
	}
	return nil
}

// Overlay lays out a root in which those directories are empty, and returns its path. The kernel must have overlayfs.
func Overlay(empty ...string) (string, error) {
	if err := (Mount{Kind: "tmpfs", Source: "upper", Target: stage, Options: "mode=755,size=100%"}).Do(); err != nil {
		return "", err
	}
	upper, work, root := filepath.Join(stage, "upper"), filepath.Join(stage, "work"), filepath.Join(stage, "root")
	for _, dir := range []string{upper, work} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return "", err
		}
	}
	for _, dir := range empty {
		dir = filepath.Join(upper, dir)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return "", err
		}
		// The mark of a directory that hides the one below (Documentation/filesystems/overlayfs.rst).
		if err := unix.Setxattr(dir, "trusted.overlay.opaque", []byte("y"), 0); err != nil {
			return "", fmt.Errorf("hide what is below %s: %w", dir, err)
		}
	}
	options := fmt.Sprintf("lowerdir=/,upperdir=%s,workdir=%s", upper, work)
	return root, Mount{Kind: "overlay", Source: "overlay", Target: root, Options: options}.Do()
}

// Pivot makes it the root of this mount namespace, and lets go of the former one.
func Pivot(root string) error {
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
