//go:build linux

package command

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// script writes an executable shell script that knows the directory of the test as $dir.
func script(t *testing.T, dir, body string) string {
	t.Helper()
	path := filepath.Join(dir, "script")
	if err := os.WriteFile(path, []byte("#!/bin/sh\ndir="+dir+"\n"+body+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// child is the process whose number the script left in the file child.
func child(t *testing.T, dir string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "child"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// gone waits until a process has ended, reaped or not, since whoever inherited it may take its time.
func gone(t *testing.T, pid int) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("process %d lives on", pid)
		}
	}
}

func start(ctx context.Context, t *testing.T, argv ...string) *exec.Cmd {
	t.Helper()
	cmd, err := New(ctx, argv)
	if err != nil {
		t.Fatal(err)
	}
	return cmd
}

func TestTheEndOfTheContextKillsACommandWithItsChildren(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	cmd := start(ctx, t, script(t, dir, `trap "" TERM; sleep 60 & echo $! >$dir/child; wait`))
	if err := Run(cmd); err == nil || ctx.Err() == nil {
		t.Errorf("Run = %v, context %v, want the command killed", err, ctx.Err())
	}
	gone(t, child(t, dir))
	if err := syscall.Kill(cmd.Process.Pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the command is a zombie: %v", err)
	}
}

func TestAProcessThatLeftTheGroupDoesNotHoldUpTheEnd(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	cmd := start(ctx, t, script(t, dir, `setsid sleep 60 & echo $! >$dir/child; sleep 60`))
	cmd.Stdout = new(Output)
	began := time.Now()
	if err := Run(cmd); err == nil || time.Since(began) > 20*time.Second {
		t.Errorf("Run = %v after %v, want the command killed", err, time.Since(began))
	}
	_ = syscall.Kill(child(t, dir), syscall.SIGKILL)
}

func TestWhatACommandLeavesInTheBackground(t *testing.T) {
	for _, tt := range []struct {
		name string
		run  func(*exec.Cmd) error
		live bool
	}{
		{"Run leaves it alone", Run, true},
		{"RunGroup kills it", RunGroup, false},
	} {
		dir := t.TempDir()
		cmd := start(t.Context(), t, script(t, dir, `sleep 60 & echo $! >$dir/child`))
		cmd.Stdout = new(Output)
		began := time.Now()
		if err := tt.run(cmd); err != nil || time.Since(began) > 20*time.Second {
			t.Errorf("%s: %v after %v, want it done at once", tt.name, err, time.Since(began))
		}
		pid := child(t, dir)
		if err := syscall.Kill(pid, 0); tt.live && err != nil {
			t.Errorf("%s: it is gone: %v", tt.name, err)
		}
		if tt.live {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		gone(t, pid)
	}
}

func TestACommandThatCannotStartSaysWhy(t *testing.T) {
	if _, err := New(t.Context(), nil); err == nil || err.Error() != "the command is empty" {
		t.Errorf("New of nothing = %v", err)
	}
	if _, err := New(t.Context(), []string{"no-such-program"}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("New = %v, want that there is no such file", err)
	}
	cmd := start(t.Context(), t, script(t, t.TempDir(), ""))
	cmd.Dir = "/nowhere"
	if err := RunGroup(cmd); !errors.Is(err, fs.ErrNotExist) || cmd.ProcessState != nil {
		t.Errorf("RunGroup = %v, want that there is no such directory", err)
	}
}

func TestTheEnvironmentHasNothingOfThePluginsOwn(t *testing.T) {
	t.Setenv("PLUGIN_UNIX_SOCKET_DIR", "/run/x")
	t.Setenv("VIPWARD_PLUGIN", "cookie")
	t.Setenv("MINE", "yes")
	t.Setenv("PATH", "")
	env := "\n" + strings.Join(Environment("A=b\x00c"), "\n") + "\n"
	for _, want := range []string{"MINE=yes", "A=bc", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"} {
		if !strings.Contains(env, "\n"+want+"\n") {
			t.Errorf("the environment lacks %s:%s", want, env)
		}
	}
	if strings.Contains(env, "PLUGIN_") || strings.Contains(env, "VIPWARD_") || strings.Count(env, "\nPATH=") != 1 {
		t.Errorf("the handshake is in the environment:%s", env)
	}
}

func TestOutputWithoutEndIsSwallowed(t *testing.T) {
	var out Output
	for range 20000 {
		if n, err := out.Write([]byte("line\n")); n != 5 || err != nil {
			t.Fatalf("Write = %d, %v", n, err)
		}
	}
	if got := out.String(); len(got) != 64<<10+len(" […]") || !strings.HasSuffix(got, " […]") {
		t.Errorf("kept %d bytes", len(got))
	}
}

func TestLinesForAReason(t *testing.T) {
	for _, tt := range []struct{ name, output, first, last string }{
		{"nothing", "", "", ""},
		{"one line", "only\n", "only", "only"},
		{"empty lines around", "\n\r\nfirst\r\nsecond\n\n", "first", "second"},
		{"a long one", strings.Repeat("é", 300), strings.Repeat("é", 100), strings.Repeat("é", 100)},
	} {
		var out Output
		_, _ = out.Write([]byte(tt.output))
		if out.FirstLine() != tt.first || out.LastLine() != tt.last {
			t.Errorf("%s: %q and %q, want %q and %q", tt.name, out.FirstLine(), out.LastLine(), tt.first, tt.last)
		}
	}
}

func TestValidateTellsWhatCannotRunFromWhatCannotRunHere(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name    string
		command []string
		want    string
	}{
		{"a program", []string{script(t, dir, "")}, ""},
		{"a name in the search path", []string{"sh"}, ""},
		{"nothing", nil, "command: the command is empty"},
		{"a relative path", []string{"bin/notify"}, `command[0]: "bin/notify" depends on a working directory: write the whole path`},
		{"a file that is not there", []string{"/nowhere/n"}, "command[0]: cannot run on this node: stat /nowhere/n: no such file or directory"},
		{"a file that is not executable", []string{plain}, "command[0]: cannot run on this node: " + plain + " is not executable: permission denied"},
		{"a directory", []string{dir}, "command[0]: cannot run on this node: " + dir + " is no regular file"},
	} {
		got := ""
		if err := Validate("command", tt.command); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}
