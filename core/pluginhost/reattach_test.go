package pluginhost

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vipward/vipward/core/config"
	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// debugged starts a plugin without a host, and returns what it prints for one.
func debugged(t *testing.T, name string) (*os.Process, map[string]pluginv1.Reattach) {
	t.Helper()
	cmd := exec.Command(filepath.Join(plugins, prefix+name), "--debug")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), pluginv1.ReattachEnv+"="); ok {
			all, err := ParseReattach(strings.Trim(text, "'"))
			if err != nil {
				t.Fatal(err)
			}
			return cmd.Process, all
		}
	}
	t.Fatal("the plugin prints nothing for a host")
	return nil, nil
}

func TestAPluginInADebuggerIsUsedAndLeftAlone(t *testing.T) {
	process, reattach := debugged(t, "tcp")
	w := newWorld(t)
	w.o.Reattach, w.o.Dirs = reattach, nil // found without any directory
	if _, err := w.Schema(t.Context(), pluginv1.Kind_CHECKER, "tcp", config.Plugin{}); err != nil {
		t.Fatal(err)
	}
	w.Apply(nil, []config.Check{{ID: "t", Kind: "tcp", Name: "t", Config: []byte("{}"), Interval: 50 * time.Millisecond, Timeout: time.Second}}, nil)
	w.observed("t", 2)
	if !strings.Contains(w.logged(), "for debugging only") {
		t.Error("the log does not say that the plugin is attached")
	}
	_ = process.Signal(syscall.SIGSTOP) // a breakpoint
	time.Sleep(time.Duration(maxSilence+2) * pingInterval)
	_ = process.Signal(syscall.SIGCONT)
	w.observed("t", 2)
	if told := w.told(); slices.Contains(told, "plugin.hung") || slices.Contains(told, "plugin.exited") {
		t.Errorf("a plugin that stood still for a while is given up: %v", told)
	}
	w.Close()
	if !alive(process.Pid) {
		t.Error("the host has ended a process that is not its own")
	}
}

func TestAPluginInADebuggerThatHasEnded(t *testing.T) {
	process, reattach := debugged(t, "tcp")
	w := newWorld(t)
	w.o.Reattach = reattach
	w.Apply(nil, []config.Check{{ID: "t", Kind: "tcp", Name: "t", Config: []byte("{}"), Interval: 50 * time.Millisecond, Timeout: time.Second}}, nil)
	w.observed("t", 1)
	_ = process.Signal(syscall.SIGKILL)
	w.until("its end is told", func() bool { return slices.Contains(w.told(), "plugin.exited") })
}

func TestParseReattach(t *testing.T) {
	tests := []struct{ name, text, fault string }{
		{"nothing is none", ``, ""},
		{"what a plugin prints", `{"x":{"Protocol":"grpc","ProtocolVersion":1,"Pid":7,"Test":true,"Addr":{"Network":"unix","String":"/tmp/s"}}}`, ""},
		{"no JSON", `x`, "write it as the plugin prints it"},
		{"another protocol", `{"x":{"Protocol":"netrpc","ProtocolVersion":1,"Addr":{"Network":"unix","String":"/tmp/s"}}}`, "speaks netrpc"},
		{"another version", `{"x":{"Protocol":"grpc","ProtocolVersion":2,"Addr":{"Network":"unix","String":"/tmp/s"}}}`, "version 2"},
		{"another network", `{"x":{"Protocol":"grpc","ProtocolVersion":1,"Addr":{"Network":"tcp","String":"127.0.0.1:1"}}}`, "want a unix socket"},
		{"a relative path", `{"x":{"Protocol":"grpc","ProtocolVersion":1,"Addr":{"Network":"unix","String":"s"}}}`, "by its full path"},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			_, err := ParseReattach(c.text)
			if c.fault == "" && err != nil || c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)) {
				t.Errorf("ParseReattach = %v, want %q", err, c.fault)
			}
		})
	}
}
