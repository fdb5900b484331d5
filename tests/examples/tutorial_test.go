package examples

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// private comes before the tutorial's commands: the names that they give to network namespaces are seen by nobody else, and the
// first command that fails ends them. What make makes of this repository has been made
// already, elsewhere.
const private = `set -euo pipefail
mount --make-rprivate /
mount -t proc proc /proc
mount -t tmpfs none /run
make() { [ -d core ] || command make "$@"; }
set -x
`

// TestTheTutorial runs the commands of the tutorial, one after another, as its reader does.
func TestTheTutorial(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("the tutorial makes network namespaces: run this test as root")
	}
	dir, err := os.MkdirTemp("", "vt-") // short, for the sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { // as mkdir makes it: the plugin's user passes through
		t.Fatal(err)
	}
	here := strings.NewReplacer("/tmp/tutorial", dir, "$PWD/bin", filepath.Dir(vipward),
		"sleep 3", "sleep 6") // this machine may have more to do than the reader's
	script := private + here.Replace(commands(t, filepath.Join(root(t), "examples", "README.md")))
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", script)
	cmd.Dir, cmd.WaitDelay = root(t), time.Second
	// A process namespace of its own: whatever the tutorial starts ends with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET}
	out, err := cmd.CombinedOutput()
	text := string(out)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	for _, want := range []string{"0 failed", "inet 10.88.0.100/32", "MASTER", "BACKUP"} {
		if !strings.Contains(text, want) {
			t.Errorf("the output has no %q:\n%s", want, text)
		}
	}
}

// commands are the shell blocks of a page, in their order.
func commands(t *testing.T, page string) string {
	t.Helper()
	var b strings.Builder
	inside := false
	for line := range strings.Lines(string(read(t, page))) {
		switch {
		case strings.HasPrefix(line, "```sh"):
			inside = true
		case strings.HasPrefix(line, "```"):
			inside = false
		case inside:
			b.WriteString(line)
		}
	}
	return b.String()
}
