package conformance

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/emptypb"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

const (
	startTimeout = 15 * time.Second // an interpreter on a busy machine needs it
	stopTimeout  = 2 * time.Second  // for a plugin to end when told to
	maxLogs      = 1 << 20          // bytes of a plugin's log that are kept
	lifelineFD   = 3
)

// Command is an executable and how to start it.
type Command struct {
	// Path of the executable, Args without it.
	Path string
	Args []string
	// Env is all of its environment, as NAME=value, besides what the protocol needs.
	Env []string
	// Stderr takes a copy of what it logs. Nil for nobody.
	Stderr io.Writer
}

// process is a running executable.
type process struct {
	cmd      *exec.Cmd
	dir      string   // for its socket
	lifeline *os.File // the end that is held here
	logs     *capture // stderr
	noise    *capture // stdout after the first line
	exited   chan struct{}
	status   string // valid when exited is closed
}

// Start starts the executable in an environment of its own and connects to it, as the daemon does. It fails for what does not
// say within 15 s where it listens. The plugin is killed when ctx ends.
func (c Command) Start(ctx context.Context) (*Plugin, error) {
	dir, err := os.MkdirTemp("", "vipward-test-")
	if err != nil {
		return nil, err
	}
	p, first, err := c.spawn(dir)
	if err != nil {
		_ = os.RemoveAll(dir) // there is a better error to tell
		return nil, err
	}
	stop := context.AfterFunc(ctx, p.kill)
	conn, err := p.connect(ctx, first)
	if err != nil {
		p.close()
		return nil, err
	}
	return &Plugin{Conn: conn, process: p, logs: p.logs.String, shut: func() { stop(); p.close() }}, nil
}

// spawn starts the process. The first line of its stdout comes by the channel, which is closed at the end of stdout.
func (c Command) spawn(dir string) (*process, <-chan string, error) {
	read, lifeline, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	defer read.Close()
	p := &process{dir: dir, lifeline: lifeline, logs: &capture{copyTo: c.Stderr}, noise: &capture{}, exited: make(chan struct{})}
	p.cmd = exec.Command(c.Path, c.Args...)
	p.cmd.Dir = "/"
	p.cmd.Env = append(c.Env[:len(c.Env):len(c.Env)],
		pluginv1.CookieKey+"="+pluginv1.CookieValue, "PLUGIN_PROTOCOL_VERSIONS=1", "PLUGIN_UNIX_SOCKET_DIR="+dir,
		fmt.Sprintf("%s=%d", pluginv1.LifelineEnv, lifelineFD))
	p.cmd.ExtraFiles = []*os.File{read}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.cmd.WaitDelay = 200 * time.Millisecond // a process that it left behind may hold its pipes
	first := make(chan string, 1)
	stdout := &firstLine{line: first, rest: p.noise}
	p.cmd.Stdout, p.cmd.Stderr = stdout, p.logs
	if err := p.cmd.Start(); err != nil {
		lifeline.Close()
		return nil, nil, err
	}
	go func() {
		err := p.cmd.Wait()
		p.status = fmt.Sprint(p.cmd.ProcessState)
		if p.cmd.ProcessState == nil {
			p.status = err.Error()
		}
		close(p.exited)
		stdout.end()
	}()
	return p, first, nil
}

// connect takes the handshake and connects to where it says.
func (p *process) connect(ctx context.Context, first <-chan string) (*grpc.ClientConn, error) {
	select {
	case line, ok := <-first:
		if !ok {
			<-p.exited
			return nil, fmt.Errorf("it ended before it said where it listens: %s%s", p.status, p.lastWords())
		}
		socket, err := p.socket(line)
		if err != nil {
			return nil, err
		}
		return grpc.NewClient("unix:"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(pluginv1.MaxMessage)))
	case <-time.After(startTimeout):
		return nil, fmt.Errorf("it has not said within %v where it listens", startTimeout)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// socket reads the handshake of go-plugin: 1|1|unix|PATH|grpc.
func (p *process) socket(line string) (string, error) {
	fields := strings.Split(line, "|")
	if len(fields) < 5 || fields[0] != "1" {
		return "", fmt.Errorf("the first line on stdout is %q, not a handshake like 1|1|unix|PATH|grpc", line[:min(len(line), 100)])
	}
	switch {
	case fields[1] != "1":
		return "", fmt.Errorf("the handshake says protocol version %q, want 1", fields[1])
	case fields[2] != "unix" || fields[4] != "grpc":
		return "", fmt.Errorf("the handshake says %s over %s, want grpc over unix", fields[4], fields[2])
	case filepath.Dir(filepath.Clean(fields[3])) != p.dir:
		return "", fmt.Errorf("the socket is %s, not in the directory that PLUGIN_UNIX_SOCKET_DIR names", fields[3])
	}
	return fields[3], nil
}

// lastWords are the end of the log, for a message.
func (p *process) lastWords() string {
	lines := strings.Split(strings.TrimSpace(p.logs.String()), "\n")
	if last := lines[len(lines)-1]; last != "" {
		return ": " + last
	}
	return ""
}

// shutdown tells the plugin to stop, by the call with which go-plugin does it. Whether the plugin still answers does not matter.
func (p *Plugin) shutdown(ctx context.Context) {
	_ = p.Conn.Invoke(ctx, "/plugin.GRPCController/Shutdown", &emptypb.Empty{}, &emptypb.Empty{})
}

// endsWithin waits for the end of the process.
func (p *process) endsWithin(d time.Duration) error {
	began := time.Now()
	select {
	case <-p.exited:
		return nil
	case <-time.After(d):
		return fmt.Errorf("it lives on after %v", time.Since(began).Round(time.Millisecond))
	}
}

// kill kills the process and its group.
func (p *process) kill() {
	select {
	case <-p.exited: // its number may belong to somebody else
	default:
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	}
}

// close ends the process and removes what it listened at.
func (p *process) close() {
	p.kill()
	<-p.exited
	p.lifeline.Close()
	_ = os.RemoveAll(p.dir) // a directory below the temporary one
}

// descriptors counts what the process has open.
func (p *process) descriptors() (int, error) {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	return len(entries), err
}

// firstLine is a stdout: it hands out its first line and keeps the rest.
type firstLine struct {
	line chan<- string
	rest *capture
	head bytes.Buffer
	said bool
}

// Write never fails.
func (f *firstLine) Write(b []byte) (int, error) {
	if f.said {
		return f.rest.Write(b)
	}
	f.head.Write(b)
	line, err := bufio.NewReader(bytes.NewReader(f.head.Bytes())).ReadString('\n')
	if errors.Is(err, io.EOF) && f.head.Len() < maxLogs {
		return len(b), nil
	}
	f.said = true
	f.line <- strings.TrimRight(line, "\r\n")
	close(f.line)
	_, _ = f.rest.Write(f.head.Bytes()[len(line):])
	return len(b), nil
}

// end closes the line where none has come. All of stdout has been written.
func (f *firstLine) end() {
	if !f.said {
		close(f.line)
	}
}

// capture keeps what is written to it, up to a bound.
type capture struct {
	copyTo io.Writer

	mu   sync.Mutex
	text bytes.Buffer
}

// Write never fails.
func (c *capture) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.copyTo != nil {
		_, _ = c.copyTo.Write(b) // the plugin must not feel it
	}
	c.text.Write(b[:min(len(b), max(maxLogs-c.text.Len(), 0))])
	return len(b), nil
}

// String is what was written.
func (c *capture) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.String()
}
