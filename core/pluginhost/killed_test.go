package pluginhost

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// sample is a folder that every user gets to.
func sample(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "vk") // short, for the sockets in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// daemonWithPlugins runs the daemon with a plugin in Go and one in Python, and returns its process with theirs.
func daemonWithPlugins(t *testing.T) (*exec.Cmd, map[string]int) {
	t.Helper()
	dir := sample(t)
	if out, err := exec.Command("go", "build", "-o", filepath.Join(dir, "vipward"), "../../cmd/vipward").CombinedOutput(); err != nil {
		t.Fatalf("build vipward: %v\n%s", err, out)
	}
	python := filepath.Join(dir, "greeting")
	if err := os.CopyFS(python, os.DirFS("../../examples/checker-banner-python")); err != nil {
		t.Fatal(err)
	}
	target := greeter(t, "SSH-2.0-x\r\n")
	text := fmt.Sprintf("plugin \"greeting\" { path = %q }\n", filepath.Join(python, "vipward-plugin-greeting"))
	for _, kind := range []string{"tcp", "greeting"} {
		text += fmt.Sprintf("checker %q %q {\n  address = %q\n}\n", kind, kind, target)
	}
	config, socket := filepath.Join(dir, "vipward.hcl"), filepath.Join(dir, "s")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	run := exec.Command(filepath.Join(dir, "vipward"), "run", "--config", config, "--node", "n", "--socket", socket,
		"--state-dir", filepath.Join(dir, "state"), "--plugin-dir", plugins)
	run.Stdout, run.Stderr = &log, &log
	run.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = run.Process.Kill()
		_ = run.Wait()
		if t.Failed() {
			t.Logf("log:\n%s", &log)
		}
	})
	for end := time.Now().Add(2 * patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		var list []struct {
			Name, State string
			PID         int
		}
		out, _ := exec.Command(filepath.Join(dir, "vipward"), "plugin", "list", "--json", "--socket", socket).Output()
		_ = json.Unmarshal(out, &list) // the daemon may not answer yet
		pids := make(map[string]int)
		for _, p := range list {
			if p.PID != 0 && p.State == string(Running) {
				pids[p.Name] = p.PID
			}
		}
		if len(pids) == 2 {
			return run, pids
		}
	}
	t.Fatal("the plugins do not run")
	return nil, nil
}

func TestNoPluginSurvivesAKilledDaemon(t *testing.T) {
	needRoot(t)
	if out, err := exec.Command("/usr/bin/python3", "-c", "import grpc, google.protobuf").CombinedOutput(); err != nil {
		t.Fatalf("the plugin in Python needs packages: apt-get install python3-grpcio python3-protobuf\n%s", out)
	}
	run, pids := daemonWithPlugins(t)
	for name, pid := range pids {
		if status := statusOf(t, pid); status["NoNewPrivs"] != "1" || status["CapEff"] != caps(0) {
			t.Errorf("%s is not confined: %v", name, status)
		}
	}
	began := time.Now()
	if err := run.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	ended := make(map[string]time.Duration)
	for len(ended) < len(pids) && time.Since(began) < 2*time.Second { // the kernel kills them; a loaded machine takes its time
		for name, pid := range pids {
			if _, ok := ended[name]; !ok && !alive(pid) {
				ended[name] = time.Since(began)
			}
		}
		time.Sleep(time.Millisecond)
	}
	t.Logf("after the daemon was killed: %v", ended)
	if len(ended) != 2 {
		t.Errorf("of the plugins %v only %v have ended within 2s", pids, ended)
	}
	for name, pid := range pids {
		if _, ok := ended[name]; !ok {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}
