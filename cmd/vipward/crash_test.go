package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// A crash has to end the daemon by a signal: what exits with 2, as a crashed Go program does, has been used wrongly, and systemd does
// not start it again. The watchdog of systemd ends a daemon that hangs by SIGABRT.
func TestACrashIsNoWrongUsage(t *testing.T) {
	dir := t.TempDir()
	config, socket := filepath.Join(dir, "vipward.hcl"), filepath.Join(dir, "socket")
	if err := os.WriteFile(config, []byte(`node "lb1" { address = "127.0.0.1" }`), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("vipward", "run", "--config", config, "--node", "lb1", "--socket", socket, "--state-dir", dir)
	cmd.Dir = dir // of a core, where the machine keeps them
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var wrote bytes.Buffer
	cmd.Stdout, cmd.Stderr = &wrote, &wrote
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the daemon has its socket", func() bool { _, err := os.Stat(socket); return err == nil })
	if err := cmd.Process.Signal(syscall.SIGABRT); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // how it ended is looked at
	if ended := cmd.ProcessState.Sys().(syscall.WaitStatus); !ended.Signaled() || ended.Signal() != syscall.SIGABRT {
		t.Errorf("after SIGABRT the daemon ended with %v, want that signal; it wrote:\n%.2000s", cmd.ProcessState, wrote.String())
	}
}
