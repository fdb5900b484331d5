package exec

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestACommandRunsAsItsUser(t *testing.T) {
	const id = `echo "$(id -un) $(id -gn)"; exit 2`
	dir := filepath.Join(t.TempDir(), "open")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for parent := dir; parent != os.TempDir() && parent != "/"; parent = filepath.Dir(parent) {
		if err := os.Chmod(parent, 0o755); err != nil { // the other user has to get at the script
			t.Fatal(err)
		}
	}
	path := script(t, dir, id)
	if err := os.Chmod(path, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, user, want string }{
		{"the plugin's own", "", "fail: root root"},
		{"the same, by name", "root", "fail: root root"},
		{"another", "nobody", "fail: nobody nogroup"},
		{"one that there is not", "no-such-user", "error: user: unknown user no-such-user"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			if got := check(ctx, server, CheckerConfig{Command: []string{path}, User: c.user, Directory: "/", Format: "monitoring"}).String(); got != c.want {
				t.Errorf("check = %q, want %q", got, c.want)
			}
		})
	}
}

func TestAUserThatThereIsNotIsAWarning(t *testing.T) {
	err := (&CheckerConfig{Command: []string{"/bin/true"}, Directory: "/", User: "no-such-user"}).Validate()
	if err == nil || !strings.Contains(err.Error(), `there is no user "no-such-user" on this node`) {
		t.Errorf("Validate = %v", err)
	}
}
