package pluginhost

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/user"
	"strconv"
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
	if err := verify(f, decl.SHA256); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func verify(f *os.File, want string) error {
	info, err := f.Stat()
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0:
		return fmt.Errorf("%s is not executable", f.Name())
	case info.Mode().Perm()&0o002 != 0:
		return fmt.Errorf("%s can be written by everybody, and is not run for that: chmod o-w %s", f.Name(), f.Name())
	case want == "":
		return nil
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return fmt.Errorf("read %s: %w", f.Name(), err)
	}
	if have := hex.EncodeToString(h.Sum(nil)); have != strings.ToLower(want) {
		return fmt.Errorf("%s has the sha256 %s, and the configuration wants %s", f.Name(), have, want)
	}
	return nil
}

// ambient are the numbers of the capabilities that a plugin is granted.
func ambient(names []string) ([]uintptr, error) {
	var out []uintptr
	for _, name := range names {
		n, ok := config.CapabilityNumber(name)
		if !ok {
			return nil, fmt.Errorf("there is no capability %q", name)
		}
		out = append(out, uintptr(n))
	}
	return out, nil
}

// credential is the user that a plugin runs as, without supplementary groups; nil for the daemon's own.
func credential(name string) (*syscall.Credential, error) {
	if name == "" {
		return nil, nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("uid of %s: %w", name, err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("gid of %s: %w", name, err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}
