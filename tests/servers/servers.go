// Package servers starts the real servers that the tests of the plugins talk to: one file a server, each with its own folder,
// address and configuration. Nothing outlives the test that started it, and nothing of the machine's own services is used.
package servers

import (
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// patience is how long a server may take to do what it must: generous, since the machine may be busy.
const patience = 60 * time.Second

// Process is a server that runs. Its methods are called by the goroutine of the test.
type Process struct {
	t    testing.TB
	cmd  *exec.Cmd
	log  string
	done chan struct{}
}

// Start starts a server that stays in the foreground. It ends with the test, or with the test's process. What it writes is shown
// when the test fails. edit, which may be nil, changes the command before it starts: its user, its folder, its environment.
func Start(t testing.TB, edit func(*exec.Cmd), name string, args ...string) *Process {
	t.Helper()
	p := &Process{t: t, log: filepath.Join(t.TempDir(), filepath.Base(name)+".log"), done: make(chan struct{})}
	f, err := os.Create(p.log)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p.cmd = exec.Command(name, args...)
	p.cmd.Stdout, p.cmd.Stderr = f, f
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if edit != nil {
		edit(p.cmd)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v (make deps installs what the tests need)", name, err)
	}
	go func() {
		_ = p.cmd.Wait() // how it ended is of no interest: its log tells
		close(p.done)
	}()
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("%s wrote:\n%s", name, p.Log())
		}
	})
	return p
}

// Until waits until ready returns nil, and fails the test when it does not in time or when the server has ended.
func (p *Process) Until(what string, ready func() error) {
	p.t.Helper()
	end := time.Now().Add(patience)
	for {
		err := ready()
		if err == nil {
			return
		}
		if !p.Running() || time.Now().After(end) {
			p.t.Fatalf("%s: not %s: %v", p.cmd.Path, what, err)
		}
		time.Sleep(20 * time.Millisecond) // the pace of asking
	}
}

// Running tells whether the server has not ended yet.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Pid is the process id of the server.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Pause stops the server and its children as SIGSTOP does: connections are taken by the kernel, and nobody answers.
func (p *Process) Pause() {
	p.t.Helper()
	p.signal(syscall.SIGSTOP)
	p.Until("stopped", func() error { return stopped(p.Pid()) })
}

// Resume lets them go on.
func (p *Process) Resume() { p.signal(syscall.SIGCONT) }

// Kill ends the server and its children at once and waits for it.
func (p *Process) Kill() {
	p.signal(syscall.SIGKILL)
	p.wait()
}

// wait waits for the end of the server; the test fails when it does not come.
func (p *Process) wait() {
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Errorf("%s does not end", p.cmd.Path)
	}
}

// Log is what the server has written.
func (p *Process) Log() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func (p *Process) signal(s syscall.Signal) {
	if p.Running() {
		_ = syscall.Kill(-p.Pid(), s) // the group may end meanwhile
	}
}

// FreePort is an address of the loopback interface whose TCP port nobody listens on. Another process may take it; tests that
// want to be sure use an address of 127.0.0.0/8 that nobody else uses.
func FreePort(t testing.TB, addr string) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(addr, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).AddrPort()
}
