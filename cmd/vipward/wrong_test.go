package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vipward/vipward/core/config"
)

var rewrite = flag.Bool("rewrite", false, "write the expected messages of testdata/wrong anew")

// TestEveryWrongUseOfAPluginHasItsMessage validates each configuration of testdata/wrong and compares all that is said, word for
// word, with what stands beside it. A file NAME.lock is the lock file of NAME.hcl.
func TestEveryWrongUseOfAPluginHasItsMessage(t *testing.T) {
	all, err := filepath.Glob("testdata/wrong/*.hcl")
	if err != nil || len(all) < 40 {
		t.Fatalf("the configurations are %v, %v", all, err)
	}
	home := wrongPlugins(t)
	for _, path := range all {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".hcl"), func(t *testing.T) {
			t.Parallel()
			got := complaints(t, home, path)
			golden := strings.TrimSuffix(path, ".hcl") + ".txt"
			if *rewrite {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s is answered with\n%s\nwant, by %s,\n%s", path, got, golden, want)
			}
		})
	}
}

// wrongPlugins makes a folder with plugins, most of which are not right.
func wrongPlugins(t *testing.T) string {
	t.Helper()
	home := t.TempDir()
	for _, dir := range []string{"bin", "open"} {
		if err := os.Mkdir(filepath.Join(home, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	fussy := filepath.Join(home, "bin", "vipward-plugin-fussy")
	if out, err := exec.Command("go", "build", "-o", fussy, "../../tests/plugins/fussy").CombinedOutput(); err != nil {
		t.Fatalf("build the plugin: %v\n%s", err, out)
	}
	for _, f := range []struct {
		name, text string
		mode       os.FileMode
	}{
		{"bin/plain", "text\n", 0o644},
		{"bin/loose", "#!/bin/sh\n", 0o777},
		{"bin/hello", "#!/bin/sh\necho hello\n", 0o755},
		{"bin/false", "#!/bin/sh\nexit 3\n", 0o755},
		{"bin/future", "#!/bin/sh\necho '1|9|unix|/nowhere|grpc'\nsleep 1\n", 0o755},
		{"bin/elsewhere", "#!/bin/sh\necho '1|1|tcp|127.0.0.1:1|grpc'\nsleep 1\n", 0o755},
		{"bin/orphan", "#!/nowhere/interpreter\n", 0o755},
		{"open/fussy", "#!/bin/sh\n", 0o755},
	} {
		path := filepath.Join(home, f.name)
		if err := os.WriteFile(path, []byte(f.text), f.mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, f.mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(home, "open"), 0o777); err != nil {
		t.Fatal(err)
	}
	return home
}

// complaints are the diagnostics of a configuration, each in full and on lines that are not broken.
func complaints(t *testing.T, home, path string) string {
	t.Helper()
	dir := t.TempDir()
	copyTo := func(from, name string) {
		text, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), text, 0o644)
		}
		if err != nil && name != config.LockName { // few have one
			t.Fatal(err)
		}
	}
	name := filepath.Base(path)
	copyTo(path, name)
	copyTo(strings.TrimSuffix(path, ".hcl")+".lock", config.LockName)
	for _, sub := range []string{"bin", "open"} {
		if err := os.Symlink(filepath.Join(home, sub), filepath.Join(dir, sub)); err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Args, cmd.Dir = []string{"vipward", "validate", "--json", "--plugin-dir", "bin", name}, dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, _ := cmd.Output() // its exit code is in what it says
	var said struct {
		Valid       bool
		Diagnostics config.Diagnostics
	}
	if err := json.Unmarshal(out, &said); err != nil {
		t.Fatalf("%v: %s%s", err, out, &stderr)
	}
	var b strings.Builder
	for _, d := range said.Diagnostics {
		if strings.HasPrefix(d.Summary, "checker \"") && strings.HasSuffix(d.Summary, " is not used") {
			continue // the point is another
		}
		fmt.Fprintf(&b, "%s:%d:%d: %s: %s\n  %s\n", d.File, d.Line, d.Column, d.Severity, d.Summary, d.Detail)
	}
	fmt.Fprintf(&b, "valid: %v\n", said.Valid)
	return strings.NewReplacer(filepath.Dir(self), "BESIDE", home, "HOME").Replace(b.String())
}
