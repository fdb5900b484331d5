package pluginhost

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/vipward/vipward/core/config"
)

// install copies an executable to where a test may change it, and returns its new path.
func install(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(plugins, prefix+name))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), prefix+name)
	if err := os.WriteFile(path, text, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// digestOf is the digest of a file as the host takes it.
func digestOf(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return sum(text)
}

// swap puts another executable in the place of a plugin, at once.
func swap(t *testing.T, path string) {
	t.Helper()
	evil := path + ".new"
	if err := os.WriteFile(evil, []byte("#!/bin/sh\necho swapped\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(evil, path); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsExecutedIsTheFileThatWasVerified(t *testing.T) {
	w := newWorld(t)
	path := install(t, "frozen")
	p := newProcess(w.Host, config.Plugin{Name: "frozen", Path: path, SHA256: digestOf(t, path)})
	defer p.cancel()
	s := &session{process: p}
	if err := s.launch(); err != nil { // opened and verified
		t.Fatal(err)
	}
	swap(t, path) // and then replaced, before it is executed
	if err := s.shakeHands(t.Context()); err != nil {
		t.Fatalf("the verified plugin does not start: %v", err)
	}
	real, err := os.Readlink("/proc/" + strconv.Itoa(s.runner.pid()) + "/exe")
	if want := path + " (deleted)"; err != nil || real != want {
		t.Errorf("%s runs (%v), want %s", real, err, want)
	}
	s.stop()
	if _, err := start(t.Context(), p); err == nil || !strings.Contains(err.Error(), "and the configuration wants "+p.decl.SHA256) {
		t.Errorf("the next start of what took its place: %v", err)
	}
}

func TestALockedPluginIsTheOneOfTheLockFile(t *testing.T) {
	w := newWorld(t)
	path := install(t, "frozen")
	right := digestOf(t, path)
	lock := func(digests map[string]string) *config.Lock {
		return &config.Lock{File: "/etc/vipward/plugins.lock.hcl", SHA256: digests}
	}
	for _, tt := range []struct {
		name string
		decl config.Plugin
		want string // empty: it runs
	}{
		{"its digest", config.Plugin{Name: "frozen", Path: path, Lock: lock(map[string]string{Platform(): right})}, ""},
		{"no lock file", config.Plugin{Name: "frozen", Path: path}, ""},
		{"not in it", config.Plugin{Name: "frozen", Path: path, Lock: lock(nil)}, " is not in the lock file /etc/vipward/plugins.lock.hcl: "},
		{
			"pinned by the configuration, and not in it",
			config.Plugin{Name: "frozen", Path: path, SHA256: right, Lock: lock(nil)},
			" is not in the lock file /etc/vipward/plugins.lock.hcl: ",
		},
		{
			"another platform",
			config.Plugin{Name: "frozen", Path: path, Lock: lock(map[string]string{"plan9_mips": right})},
			" is not in the lock file /etc/vipward/plugins.lock.hcl for " + Platform(),
		},
		{
			"another digest",
			config.Plugin{Name: "frozen", Path: path, Lock: lock(map[string]string{Platform(): sum(nil)})},
			path + " has the sha256 " + right + ", and the lock file /etc/vipward/plugins.lock.hcl has " + sum(nil) + ": if it is what you installed, run vipward plugin lock",
		},
		{"a bundled one", config.Plugin{Name: "tcp", Lock: lock(nil)}, ""},
	} {
		_, err := w.Describe(t.Context(), tt.decl)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestAFolderThatOthersWriteToHasNoPlugins(t *testing.T) {
	needRoot(t)
	for _, tt := range []struct {
		name   string
		change func(path string) error
		want   string
	}{
		{"a file of everybody", func(p string) error { return os.Chmod(p, 0o777) }, " can be written by everybody, and is not run for that: chmod o-w "},
		{"a file of somebody", func(p string) error { return os.Chown(p, 12345, 0) }, " belongs to the user 12345, who could change it, and is not run for that: chown root "},
		{"a file of a group", func(p string) error { return errors.Join(os.Chown(p, 0, 12345), os.Chmod(p, 0o775)) }, " can be written by the group 12345"},
		{"a folder of everybody", func(p string) error { return os.Chmod(filepath.Dir(p), 0o777) }, " can be written by everybody"},
		{"a folder of somebody", func(p string) error { return os.Chown(filepath.Dir(p), 12345, 0) }, " belongs to the user 12345"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := install(t, "frozen")
			link := filepath.Join(t.TempDir(), "link") // in a folder that is all right
			if err := errors.Join(os.Symlink(path, link), tt.change(path)); err != nil {
				t.Fatal(err)
			}
			for _, p := range []string{path, link} {
				f, err := open(config.Plugin{Path: p}, p)
				if err == nil {
					f.Close()
				}
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("open %s: %v, want %q", p, err, tt.want)
				}
			}
		})
	}
}

func TestOnlyTheFileVipwardPluginsIsBundled(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	text := []byte("#!/bin/sh\n")
	all := filepath.Join(dir, bundle)
	if err := os.WriteFile(all, text, 0o755); err != nil {
		t.Fatal(err)
	}
	for path, make := range map[string]func(path string) error{
		filepath.Join(dir, "vipward-plugin-soft"):       func(p string) error { return os.Symlink(bundle, p) },
		filepath.Join(dir, "vipward-plugin-hard"):       func(p string) error { return os.Link(all, p) },
		filepath.Join(elsewhere, "vipward-plugin-soft"): func(p string) error { return os.Symlink(all, p) },
		filepath.Join(elsewhere, "vipward-plugin-copy"): func(p string) error { return os.WriteFile(p, text, 0o755) },
		filepath.Join(dir, "vipward-plugin-copy"):       func(p string) error { return os.WriteFile(p, text, 0o755) },
	} {
		if err := make(path); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := isBundled(f), !strings.HasSuffix(path, "copy"); got != want {
			t.Errorf("isBundled(%s) = %v, want %v", path, got, want)
		}
		f.Close()
	}
}

func TestAFileThatThePluginsUserCannotExecuteIsTold(t *testing.T) {
	needRoot(t)
	w := newWorld(t)
	path := install(t, "frozen")
	if err := os.Chmod(path, 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := w.Describe(t.Context(), config.Plugin{Name: "frozen", Path: path})
	if want := "as the user with the number 65534: permission denied: let everybody read and execute the file"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("Describe: %v, want %q", err, want)
	}
	if _, err := w.Describe(t.Context(), config.Plugin{Name: "frozen", Path: path, User: "root"}); err != nil {
		t.Errorf("as root: %v", err)
	}
}
