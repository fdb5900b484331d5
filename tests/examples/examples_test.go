package examples

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vipward/vipward/core/config"
	"github.com/vipward/vipward/core/health"
	"github.com/vipward/vipward/core/pluginhost"
)

// vipward is the program, built for these tests.
var vipward string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "vipward-examples-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	vipward = filepath.Join(dir, "vipward")
	if out, err := exec.Command("go", "build", "-o", vipward, "../../cmd/vipward").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build vipward: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// shell runs a command in a folder, with the program under test as VIPWARD. It fails the test where the command fails.
func shell(t *testing.T, dir string, command ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir, cmd.WaitDelay = dir, time.Second
	cmd.Env = append(os.Environ(), "VIPWARD="+vipward, "GOFLAGS=-mod=mod")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(command, " "), err, out)
	}
	return string(out)
}

// needPython fails where the Debian packages of the Python examples are missing: a test that is left out proves nothing.
func needPython(t *testing.T) {
	t.Helper()
	if out, err := exec.Command("/usr/bin/python3", "-c", "import grpc, google.protobuf").CombinedOutput(); err != nil {
		t.Fatalf("the examples in Python need packages: apt-get install python3-grpcio python3-protobuf\n%s", out)
	}
}

// copied is a copy of an example where it may be built and run, by every user; its module vipward is that of this repository.
func copied(t *testing.T, name string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	if err := os.Chmod(filepath.Dir(filepath.Dir(dir)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("..", "..", "examples", name))); err != nil {
		t.Fatal(err)
	}
	mod := filepath.Join(dir, "go.mod")
	text, err := os.ReadFile(mod)
	if errors.Is(err, fs.ErrNotExist) {
		return dir
	}
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.Replace(text, []byte("=> ../.."), []byte("=> "+root(t)), 1)
	if err := os.WriteFile(mod, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func root(t *testing.T) string {
	t.Helper()
	abs, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	return abs
}

func TestGoExamples(t *testing.T) {
	for name, plugin := range map[string]string{"checker-banner": "banner", "notifier-chat": "chat", "fencer-outlet": "outlet", "witness-claims": "claims"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := copied(t, name)
			shell(t, dir, "go", "vet", "./...")
			shell(t, dir, "go", "test", "./...")
			shell(t, dir, "go", "build", "-o", "vipward-plugin-"+plugin, ".")
			test := []string{vipward, "plugin", "test", "./vipward-plugin-" + plugin}
			if _, err := os.Stat(filepath.Join(dir, "example.hcl")); err == nil {
				test = append(test, "--config", "example.hcl")
			}
			shell(t, dir, test...)
			documents(t, dir, shell(t, dir, vipward, "plugin", "docs", "./vipward-plugin-"+plugin))
		})
	}
}

// documents wants every row of the reference in the README.
func documents(t *testing.T, dir, reference string) {
	t.Helper()
	readme, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(reference) {
		if strings.HasPrefix(line, "| `") && !strings.Contains(string(readme), line) {
			t.Errorf("the README has no line\n%s", line)
		}
	}
}

func TestThePythonExample(t *testing.T) {
	t.Parallel()
	needPython(t)
	shell(t, copied(t, "checker-banner-python"), "./test.sh")
}

// TestTheDaemonRunsThePythonExample goes the way of the daemon, which executes the open file and not its name.
func TestTheDaemonRunsThePythonExample(t *testing.T) {
	t.Parallel()
	needPython(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte("SSH-2.0-test\r\n"))
			time.AfterFunc(time.Second, func() { conn.Close() })
		}
	}()
	seen := make(chan health.Observation, 100)
	host := pluginhost.New(pluginhost.Options{
		Dirs: []string{copied(t, "checker-banner-python")},
		Observe: func(_ string, o health.Observation) {
			select {
			case seen <- o:
			default:
			}
		},
	})
	defer host.Close()
	host.Apply(nil, []config.Check{{
		ID: "c", Kind: "greeting", Name: "c", Config: []byte(`{}`), Interval: 100 * time.Millisecond, Timeout: time.Second,
		Target: l.Addr().(*net.TCPAddr).AddrPort(),
	}}, nil)
	select {
	case o := <-seen:
		if o.Outcome != health.Pass {
			t.Errorf("the observation is %+v", o)
		}
	case <-time.After(30 * time.Second):
		t.Errorf("no observation; status %+v", host.Status())
	}
}
