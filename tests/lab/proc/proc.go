// Package proc starts the processes of the laboratory in their network namespaces and treats them as badly as a scenario
// wants: it stops, pauses and kills whole trees, by the pids of what it has started and never by name.
package proc

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/tests/lab/netns"
)

// Process is a process that Start has started. Its methods may be called from any goroutine.
type Process struct {
	cmd  *exec.Cmd
	log  string
	done chan struct{}
	err  error // how it ended; valid after done
}

// Start starts a process in a namespace. What it writes is appended to the log file.
func Start(ns *netns.NS, log, name string, args ...string) (*Process, error) {
	f, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p := &Process{cmd: exec.Command(name, args...), log: log, done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = f, f
	if err := ns.Start(p.cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// Pid is the process id of the root of the tree.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Running tells whether the process has not ended yet.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Wait waits for the end of the process and returns its exit code, or an error after the timeout.
func (p *Process) Wait(timeout time.Duration) (int, error) {
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode(), nil
	case <-time.After(timeout):
		return 0, fmt.Errorf("%s (pid %d) has not ended after %v", filepath.Base(p.cmd.Path), p.Pid(), timeout)
	}
}

// Terminate asks the process to end (SIGTERM) and waits for it.
func (p *Process) Terminate(timeout time.Duration) (int, error) {
	p.Signal(unix.SIGTERM)
	return p.Wait(timeout)
}

// Signal sends a signal to the process alone.
func (p *Process) Signal(s unix.Signal) {
	if p.Running() {
		_ = unix.Kill(p.Pid(), s) // it may end meanwhile
	}
}

// Kill kills the whole tree with SIGKILL. All are stopped first, so that no process sees another one die and tidies up: the
// tree ends as in a loss of power.
func (p *Process) Kill() {
	p.Pause()
	tree := p.Tree()
	for _, pid := range tree {
		_ = unix.Kill(pid, unix.SIGKILL)
	}
	if len(tree) > 0 {
		<-p.done
	}
}

// Pause stops the whole tree with SIGSTOP.
func (p *Process) Pause() {
	for _, pid := range p.Tree() {
		_ = unix.Kill(pid, unix.SIGSTOP)
	}
}

// Resume lets the whole tree go on.
func (p *Process) Resume() {
	for _, pid := range p.Tree() {
		_ = unix.Kill(pid, unix.SIGCONT)
	}
}

// Tree lists the process and its descendants, parents first. It is empty when the process has ended.
func (p *Process) Tree() []int {
	if !p.Running() {
		return nil
	}
	tree := []int{p.Pid()}
	for i := 0; i < len(tree); i++ {
		tree = append(tree, children(tree[i])...)
	}
	return tree
}

// children lists the child processes of all threads of a process, see proc_pid_children(5).
func children(pid int) []int {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	var found []int
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			continue // the thread has ended
		}
		for _, word := range strings.Fields(string(text)) {
			if child, err := strconv.Atoi(word); err == nil {
				found = append(found, child)
			}
		}
	}
	return found
}

// Log is what the process has written so far.
func (p *Process) Log() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
