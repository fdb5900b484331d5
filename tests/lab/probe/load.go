package probe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/tests/lab/netns"
)

// Load is a client that keeps connections open for long and makes requests over fresh ones, both by HTTP and over TCP. All of it is
// one thread that waits for all of its sockets at once, since in a guest switching between threads is what costs most.
type Load struct {
	// To are the services; connections and requests go to them in turn.
	To []netip.AddrPort
	// Conns is the number of connections that are kept, in all.
	Conns int
	// Beat is the time between two questions on each of them.
	Beat time.Duration
	// Every is the time between two requests over fresh connections, in all; 0 makes none.
	Every time.Duration
	// Timeout of any question.
	Timeout time.Duration
}

// LoadReport is what a load has found, for each service.
type LoadReport map[netip.AddrPort]*Served

// Served is what one service has done.
type Served struct {
	// Kept are the connections that were to be kept, each with the last answer of it. One that has come to an end has a reason.
	Kept Flow
	// Beats is the number of answers on them.
	Beats int
	// Requests are those over fresh connections.
	Requests Flow
}

// Run loads from within a namespace until the context ends, and a moment longer for the last answers.
func (l Load) Run(ctx context.Context, ns *netns.NS) (LoadReport, error) {
	r := &loader{Load: l, sockets: map[int]*exchange{}, report: LoadReport{}}
	for _, to := range l.To {
		r.report[to] = &Served{}
	}
	err := ns.Do(func() error { return r.run(ctx) })
	return r.report, err
}

// loader is a load under way.
type loader struct {
	Load
	epoll   int
	sockets map[int]*exchange
	report  LoadReport
	asked   int // requests so far
}

// exchange is one connection.
type exchange struct {
	fd        int
	to        netip.AddrPort
	kept      bool
	connected bool
	waits     bool // for an answer
	sample    Sample
	due       time.Time // the next question, or where it waits the end of its patience
	answer    []byte
}

const (
	// tick is the longest time that the thread sleeps.
	tick = 10 * time.Millisecond
	// politeness of the thread, see nice(2).
	politeness = 10
	// flurry bounds how many connections are opened at once.
	flurry = 16
)

func (r *loader) run(ctx context.Context) (err error) {
	runtime.LockOSThread()                                             // the thread ends with the goroutine, and its place in the queue with it
	_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), politeness) // where the machine is short of time, the load is what gets less
	if r.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return err
	}
	defer unix.Close(r.epoll)
	defer func() {
		for fd := range r.sockets {
			unix.Close(fd)
		}
	}()
	began := time.Now()
	for i := range r.Conns {
		r.open(r.To[i%len(r.To)], true)
		if i%flurry == flurry-1 {
			if err := r.wait(tick); err != nil {
				return err
			}
		}
	}
	var end time.Time // of the patience for the last answers
	for end.IsZero() || time.Now().Before(end) && r.waiting() {
		if ctx.Err() == nil {
			r.ask(began)
		} else if end.IsZero() {
			end = time.Now().Add(r.Timeout)
		}
		if err := r.wait(tick); err != nil {
			return err
		}
		r.look(end.IsZero())
	}
	for _, x := range r.sockets {
		r.end(x, "")
	}
	return nil
}

// waiting tells whether an answer is still to come.
func (r *loader) waiting() bool {
	for _, x := range r.sockets {
		if x.waits || !x.connected {
			return true
		}
	}
	return false
}

// ask makes the requests that are due. One that the thread was late for is not made up for: the next ones would come in a flood.
func (r *loader) ask(began time.Time) {
	if r.Every == 0 {
		return
	}
	due := int(time.Since(began) / r.Every)
	for r.asked = max(r.asked, due-flurry); r.asked < due; r.asked++ {
		r.open(r.To[r.asked%len(r.To)], false)
	}
}

// open begins a connection.
func (r *loader) open(to netip.AddrPort, kept bool) {
	x := &exchange{to: to, kept: kept, sample: Sample{Sent: time.Now()}, due: time.Now().Add(r.Timeout)}
	family, sock := address(to)
	var err error
	if x.fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0); err != nil {
		x.fd = -1
		r.end(x, err.Error())
		return
	}
	r.sockets[x.fd] = x
	if err := unix.Connect(x.fd, sock); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		r.end(x, err.Error())
		return
	}
	err = unix.EpollCtl(r.epoll, unix.EPOLL_CTL_ADD, x.fd, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLET | unix.EPOLLRDHUP, Fd: int32(x.fd)})
	if err != nil {
		r.end(x, err.Error())
	}
}

// wait serves what happens at the sockets.
func (r *loader) wait(limit time.Duration) error {
	var events [64]unix.EpollEvent
	n, err := unix.EpollWait(r.epoll, events[:], int(limit/time.Millisecond))
	if err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("wait for the sockets: %w", err)
	}
	for _, e := range events[:max(n, 0)] {
		x := r.sockets[int(e.Fd)]
		if x == nil {
			continue // it has come to its end in this very turn
		}
		if !x.connected && e.Events&(unix.EPOLLOUT|unix.EPOLLERR|unix.EPOLLHUP) != 0 {
			r.connected(x)
		}
		if x.fd >= 0 && x.connected && e.Events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLERR|unix.EPOLLHUP) != 0 {
			r.read(x)
		}
	}
	return nil
}

func (r *loader) connected(x *exchange) {
	code, err := unix.GetsockoptInt(x.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	switch {
	case err != nil:
		r.end(x, err.Error())
	case code != 0:
		r.end(x, "connect: "+unix.Errno(code).Error())
	default:
		x.connected = true
		r.question(x)
	}
}

// question asks for the page that has the server's name.
func (r *loader) question(x *exchange) {
	text := "GET /index.html HTTP/1.1\r\nHost: vip\r\n\r\n"
	if !x.kept {
		text = "GET /index.html HTTP/1.1\r\nHost: vip\r\nConnection: close\r\n\r\n"
	}
	if _, err := unix.Write(x.fd, []byte(text)); err != nil {
		r.end(x, "write: "+err.Error())
		return
	}
	x.waits, x.due, x.answer = true, time.Now().Add(r.Timeout), x.answer[:0]
}

// read takes what has come, all of it, since an edge is told once.
func (r *loader) read(x *exchange) {
	var b [2048]byte
	for {
		n, err := unix.Read(x.fd, b[:])
		switch {
		case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
			return
		case err != nil:
			r.end(x, "read: "+err.Error())
			return
		case n == 0 && x.kept || n == 0 && x.waits:
			r.end(x, "the connection was closed")
			return
		case n == 0:
			r.end(x, "")
			return
		}
		x.answer = append(x.answer, b[:n]...)
		if body, whole := response(x.answer); whole {
			x.waits, x.sample.Received, x.sample.By = false, time.Now(), body
			if !x.kept {
				r.end(x, "")
				return
			}
			r.report[x.to].Beats++
			x.due = time.Now().Add(r.Beat)
		}
	}
}

// look asks on connections whose time has come, and gives up those that have waited too long.
func (r *loader) look(more bool) {
	now := time.Now()
	for _, x := range r.sockets {
		switch {
		case now.Before(x.due):
		case x.waits || !x.connected:
			r.end(x, fmt.Sprintf("no answer within %v", r.Timeout))
		case more:
			r.question(x)
		}
	}
}

// end closes a connection and notes it, with the reason where it was not to end.
func (r *loader) end(x *exchange, reason string) {
	if x.fd >= 0 {
		unix.Close(x.fd)
		delete(r.sockets, x.fd)
	}
	x.fd = -1
	if reason != "" {
		x.sample.Err = reason
		if x.kept {
			x.sample.Err += " after " + time.Since(x.sample.Sent).Round(time.Millisecond).String()
		}
		x.sample.Received = time.Time{}
	}
	s := r.report[x.to]
	if x.kept {
		s.Kept = append(s.Kept, x.sample)
	} else {
		s.Requests = append(s.Requests, x.sample)
	}
}

// response tells the body of an answer, once it is whole.
func response(answer []byte) (body string, whole bool) {
	head, rest, found := bytes.Cut(answer, []byte("\r\n\r\n"))
	if !found {
		return "", false
	}
	_, length, found := strings.Cut(string(head), "Content-Length: ")
	if !found {
		return "", false
	}
	length, _, _ = strings.Cut(length, "\r\n")
	n, err := strconv.Atoi(length)
	if err != nil || len(rest) < n {
		return "", false
	}
	return strings.TrimSpace(string(rest[:n])), true
}
