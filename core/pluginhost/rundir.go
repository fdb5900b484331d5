package pluginhost

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
)

// shared is where a directory for sockets is, if that of the daemon cannot be passed through.
const shared = "/run"

// socketDir makes the directory for the sockets at its first use. Others than the daemon's user need the right to pass
// through it; below it each plugin has a directory of its own, with mode 0700.
func (h *Host) socketDir(foreign bool, d daemon) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.dir == "" {
		dir, err := makeRunDir(h.o.RunDir, d.switches)
		if err != nil {
			return "", err
		}
		h.dir = dir
	}
	if foreign {
		if err := os.Chmod(h.dir, 0o711); err != nil {
			return "", err
		}
	}
	return h.dir, nil
}

// makeRunDir makes the directory, with mode 0700; for plugins of other users where these can get to it.
func makeRunDir(dir string, others bool) (string, error) {
	if dir == "" {
		parent := os.TempDir()
		if others && !passable(parent) {
			parent = shared
		}
		return os.MkdirTemp(parent, "vipward-")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if others && !passable(filepath.Dir(dir)) {
		dir = fmt.Sprintf("%s/vipward-%.6x", shared, sha256.Sum256([]byte(dir))) // the same for each run
	}
	if len(dir) > MaxRunDir {
		return "", fmt.Errorf("directory for sockets %s: longer than %d bytes", dir, MaxRunDir)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	stale, _ := filepath.Glob(filepath.Join(dir, "plugin-dir*"))
	for _, s := range stale {
		if err := os.RemoveAll(s); err != nil {
			return "", err
		}
	}
	return dir, os.Chmod(dir, 0o700)
}

// passable tells whether everybody can get through a directory and all above it.
func passable(dir string) bool {
	for {
		info, err := os.Stat(dir)
		if err != nil || info.Mode().Perm()&0o001 == 0 {
			return false
		}
		if dir == filepath.Dir(dir) {
			return true
		}
		dir = filepath.Dir(dir)
	}
}
