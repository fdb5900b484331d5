package pluginhost

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"github.com/vipward/vipward/core/config"
)

// open opens the executable of a plugin and verifies the open file, which is then the one to be executed: what replaces it
// under its name in between is not run.
func open(decl config.Plugin, path string) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := verify(f, decl); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// verify says why a file is not to be run.
func verify(f *os.File, decl config.Plugin) error {
	info, err := f.Stat()
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is no file, and so is not executable", f.Name())
	case info.Mode().Perm()&0o111 == 0:
		return fmt.Errorf("%s is not executable: chmod 755 %s", f.Name(), f.Name())
	}
	if err := guarded(f.Name(), info); err != nil {
		return err
	}
	locked := decl.Lock != nil && !isBundled(f)
	if decl.SHA256 == "" && !locked {
		return nil
	}
	have, err := digest(f)
	switch {
	case err != nil:
		return err
	case decl.SHA256 != "" && have != strings.ToLower(decl.SHA256):
		return fmt.Errorf("%s has the sha256 %s, and the configuration wants %s", f.Name(), have, decl.SHA256)
	case locked:
		return admit(decl, f.Name(), have)
	}
	return nil
}

// digest is the SHA-256 of an open file, in hex.
func digest(f *os.File) (string, error) {
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(f, 0, 1<<62)); err != nil {
		return "", fmt.Errorf("read %s: %w", f.Name(), err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Platform is that of this program, as lock files name it.
func Platform() string { return runtime.GOOS + "_" + runtime.GOARCH }

// admit lets a third-party plugin pass that the lock file has with its digest.
func admit(decl config.Plugin, path, have string) error {
	const advice = "if it is what you installed, run vipward plugin lock, and reload"
	switch want, ok := decl.Lock.SHA256[Platform()]; {
	case len(decl.Lock.SHA256) == 0:
		return fmt.Errorf("%s is not in the lock file %s: %s", path, decl.Lock.File, advice)
	case !ok:
		return fmt.Errorf("%s is not in the lock file %s for %s: %s", path, decl.Lock.File, Platform(), advice)
	case want != have:
		return fmt.Errorf("%s has the sha256 %s, and the lock file %s has %s: %s", path, have, decl.Lock.File, want, advice)
	}
	return nil
}

// guarded says who, besides root and the daemon, could write the executable, or put another in its place.
func guarded(path string, info fs.FileInfo) error {
	if err := owners(path, info); err != nil {
		return err
	}
	folders := []string{filepath.Dir(path)}
	if real, err := filepath.EvalSymlinks(path); err == nil && filepath.Dir(real) != folders[0] {
		folders = append(folders, filepath.Dir(real))
	}
	for _, dir := range folders {
		info, err := os.Stat(dir)
		if err != nil {
			return err
		}
		if err := owners(dir, info); err != nil {
			return err
		}
	}
	return nil
}

// owners says who may write a file or a folder and is not to. Whoever may write the daemon's own executable may write this, too. A
// sticky folder lets nobody replace files of others (chmod(2)).
func owners(path string, info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	var self syscall.Stat_t
	if err := syscall.Stat("/proc/self/exe", &self); err != nil {
		return fmt.Errorf("find out who may write this program: %w", err)
	}
	return intruder(path, stat, &self, os.Geteuid())
}

// intruder decides for owners: stat is of the file or folder, self of the daemon's executable.
func intruder(path string, stat, self *syscall.Stat_t, euid int) error {
	const why, sticky = "and is not run for that", syscall.S_ISVTX
	mode := stat.Mode
	if stat.Mode&syscall.S_IFMT == syscall.S_IFDIR && mode&sticky != 0 {
		mode &^= 0o022
	}
	group := stat.Gid == 0 || self.Mode&0o020 != 0 && self.Gid == stat.Gid
	switch {
	case mode&0o002 != 0:
		return fmt.Errorf("%s can be written by everybody, %s: chmod o-w %s", path, why, path)
	case mode&0o020 != 0 && !group:
		return fmt.Errorf("%s can be written by the group %d, %s: chmod g-w %s", path, stat.Gid, why, path)
	case stat.Uid != 0 && stat.Uid != uint32(euid) && stat.Uid != self.Uid:
		return fmt.Errorf("%s belongs to the user %d, who could change it, %s: chown root %s", path, stat.Uid, why, path)
	}
	return nil
}

// Checked is what [Check] finds out about an executable.
type Checked struct {
	// Path of the executable, Bundled whether it comes with vipward, SHA256 its digest in hex.
	Path    string
	Bundled bool
	SHA256  string
}

// Check verifies the executable of a declared plugin as a start does, without starting it. The lock file does not matter. A plugin
// that is not there is a [*config.MissingPlugin].
func Check(decl config.Plugin, dirs []string) (Checked, error) {
	decl.Lock = nil
	path, err := find(decl, dirs)
	if err != nil {
		return Checked{}, err
	}
	f, err := open(decl, path)
	if err != nil {
		return Checked{}, err
	}
	defer f.Close()
	sum, err := digest(f)
	return Checked{Path: path, Bundled: isBundled(f), SHA256: sum}, err
}

// ConfinementOf is how a declared plugin would be confined by this process, as far as its checks do not take capabilities.
func ConfinementOf(decl config.Plugin, dirs []string) (Confinement, error) {
	checked, err := Check(decl, dirs)
	if err != nil {
		return Confinement{}, err
	}
	d, err := thisDaemon()
	if err != nil {
		return Confinement{}, err
	}
	return d.confine(decl, checked.Bundled, 0)
}

// remark tells what an operator should know of a plugin that is about to start, once.
func (h *Host) remark(decl config.Plugin, c Confinement, d daemon) {
	if d.landlock == 0 && h.once("landlock") {
		h.o.Logger.Info("this kernel has no landlock, or it is off: plugins can write wherever their user may")
	}
	pinned := c.Bundled || decl.SHA256 != "" || decl.Lock != nil
	if !pinned && h.once("pin "+cmp.Or(decl.Path, decl.Name)) {
		h.o.Logger.Warn("this plugin of a third party may be replaced unnoticed; vipward plugin lock pins it", "plugin", decl.Name)
	}
	if h.once(fmt.Sprintf("confinement %s %v", decl.Name, c)) {
		h.o.Logger.Debug("starts", "plugin", decl.Name, "as", c.String())
	}
}

// once is true the first time that it is asked about something.
func (h *Host) once(what string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	was := h.told[what]
	h.told[what] = true
	return !was
}
