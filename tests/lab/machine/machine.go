// Package machine boots systemd on a node of the laboratory, as the first process of namespaces of its own: processes, mounts, host
// name and control groups are its alone, the network is the node's, the kernel is the one that runs here. Its root is this machine's
// in memory, so that nothing stays. It shows a service under its real manager; it is no fence against hostile code.
// See https://systemd.io/CONTAINER_INTERFACE.
package machine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/tests/lab/scenario"
	"github.com/vipward/vipward/tests/lab/topology"
)

const (
	systemd = "/usr/lib/systemd/systemd"
	// target is what the machine boots to.
	target = "lab.target"
	// bootLimit is far more than it takes, commandLimit than any command of a scenario does.
	bootLimit    = 30 * time.Second
	commandLimit = 45 * time.Second
)

// Machine is one that runs. Its methods may be called from any goroutine.
type Machine struct {
	node   *topology.Node
	cmd    *exec.Cmd
	cgroup string
	// Root is where its file system is seen from here.
	Root string
}

// Boot boots a machine on a node and waits until it is up. It ends with the scenario.
func Boot(t *scenario.T, node *topology.Node) *Machine {
	log, err := os.Create(filepath.Join(t.Dir, node.Name+".boot"))
	t.Must(err)
	defer log.Close()
	m := &Machine{node: node}
	t.Must(m.start(log))
	t.Cleanup(func() { t.Must(m.close()) })
	t.Cleanup(func() {
		if t.Failed() {
			a := m.Run("journalctl", "--no-pager", "--output", "short-precise", "--grep", "^[{A-Z ]|^vipward") // without stacks
			t.Logf("--- the journal of %s:\n%s", node.Name, scenario.Tail(a.Out, 150))
		}
	})
	t.Eventually("systemd runs on "+node.Name, bootLimit, func() error {
		if a := m.Run("systemctl", "is-active", target); a.Code != 0 {
			said, _ := os.ReadFile(log.Name()) // for the reader of a failure
			return fmt.Errorf("%s is %s%s", target, a.Out, said)
		}
		return nil
	})
	m.Root = fmt.Sprintf("/proc/%d/root", m.cmd.Process.Pid) // not before: until it is up, its root is this machine's
	return m
}

// start starts the first process, in a control group that is the root of the machine's.
func (m *Machine) start(log *os.File) (err error) {
	if _, err := os.Stat(systemd); err != nil {
		return fmt.Errorf("no systemd here (install the package systemd): %w", err)
	}
	if m.cgroup, err = newCgroup(); err != nil {
		return fmt.Errorf("make a control group: %w", err)
	}
	dir, err := os.Open(m.cgroup)
	if err != nil {
		return err
	}
	defer dir.Close()
	spec, err := json.Marshal(inside{Name: m.node.Name})
	if err != nil {
		return err
	}
	m.cmd = exec.Command("/proc/self/exe", Command, string(spec))
	m.cmd.Stdout, m.cmd.Stderr = log, log
	m.cmd.Env = []string{} // in a guest it would take itself for the guest's first process
	m.cmd.SysProcAttr = &unix.SysProcAttr{
		Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC, Setsid: true,
		UseCgroupFD: true, CgroupFD: int(dir.Fd()),
	}
	if err := m.node.Start(m.cmd); err != nil {
		return errors.Join(fmt.Errorf("start a machine: %w", err), os.Remove(m.cgroup))
	}
	return nil
}

// close kills the first process, with which the kernel kills all others.
func (m *Machine) close() error {
	_ = m.cmd.Process.Kill() // it may have ended
	_ = m.cmd.Wait()         // by that signal
	return removeCgroup(m.cgroup)
}

// Answer is what a command said, on both outputs, and its exit code.
type Answer struct {
	Code int
	Out  string
}

// Run runs a command in the machine to its end, as root, and -1 is the code of one that could not be run, or not in time.
func (m *Machine) Run(args ...string) Answer {
	ctx, cancel := context.WithTimeout(context.Background(), commandLimit)
	defer cancel()
	enter := []string{"--target", fmt.Sprint(m.cmd.Process.Pid), "--all", "--"}
	cmd := exec.CommandContext(ctx, "nsenter", append(enter, args...)...)
	cmd.WaitDelay = time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); cmd.ProcessState == nil || !cmd.ProcessState.Exited() {
		return Answer{-1, fmt.Sprintf("%s: %v: %s", strings.Join(args, " "), err, out.String())}
	}
	return Answer{cmd.ProcessState.ExitCode(), out.String()}
}
