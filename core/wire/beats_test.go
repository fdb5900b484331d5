package wire

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"testing"
	"time"
)

// heart is a node with paths for heartbeats.
type heart struct {
	*host
	beats *Beats
	heard chan Beat
	// refused gets each path of which the other machine says that nobody listens there.
	refused chan Path
}

func newHeart(n *host) *heart {
	h := &heart{host: n, heard: make(chan Beat, 100), refused: make(chan Path, 100)}
	h.beats = NewBeats(BeatOptions{Logger: slog.New(slog.NewTextHandler(&n.log, nil)), Receive: func(b Beat) { h.heard <- b }, Refuse: func(p Path) { h.refused <- p }})
	n.t.Cleanup(func() { n.do(h.beats.Close) })
	return h
}

func (h *heart) paths(wish ...Path) {
	h.t.Helper()
	h.do(func() error { h.beats.Set(wish); return nil })
}

func (h *heart) hears(from, payload string) {
	h.t.Helper()
	select {
	case b := <-h.heard:
		if b.Path.Name != from || string(b.Payload) != payload || time.Since(b.At) > patience || b.At.After(time.Now()) {
			h.t.Fatalf("heard %q by %s of %v, want %q by %s", b.Payload, b.Path.Name, b.At, payload, from)
		}
	case <-time.After(patience):
		h.t.Fatalf("%q was not heard by %s", payload, from)
	}
}

func (h *heart) hearsNothing() {
	h.t.Helper()
	select {
	case b := <-h.heard:
		h.t.Fatalf("heard %q by %s", b.Payload, b.Path.Name)
	case <-time.After(silence):
	}
}

func (h *heart) beat(path, payload string) {
	h.t.Helper()
	if err := h.beats.Send(path, []byte(payload)); err != nil {
		h.t.Fatal(err)
	}
}

func hearts(t *testing.T) (a, b *heart) {
	t.Helper()
	left, right := pair(t)
	return newHeart(left), newHeart(right)
}

const beatPort = 51120

func toLeft(name string) Path  { return Path{Name: name, Address: left, Port: beatPort} }
func toRight(name string) Path { return Path{Name: name, Address: right, Port: beatPort} }

func TestHeartbeatsArriveByTheirPath(t *testing.T) {
	a, b := hearts(t)
	bound := toLeft("bound")
	bound.Interface = "eth0"
	a.paths(toRight("lb2"))
	b.paths(bound)
	a.beat("lb2", "hello")
	b.hears("bound", "hello")
	b.beat("bound", "and you")
	a.hears("lb2", "and you")
	if s := a.beats.Stats(); len(s) != 1 || s[0].Sent != 1 || s[0].Received != 1 || !s[0].Open {
		t.Errorf("counted %+v", s)
	}
	if err := a.beats.Send("nobody", nil); !errors.Is(err, ErrClosed) {
		t.Errorf("Send by an unknown path: %v", err)
	}
}

// What has arrived and no reader has come to is handed on by a drain, in its order.
func TestDrainHandsOnTheHeartbeatsThatHaveArrived(t *testing.T) {
	a, b := hearts(t)
	a.paths(toRight("lb2"))
	p := &path{Path: toLeft("lb1"), receive: func(x Beat) { b.heard <- x }, log: slog.New(slog.DiscardHandler)}
	b.do(func() error { // as refresh does, without a reader
		w, err := p.open()
		if err == nil {
			err = listen(w.sock)
			p.way.Store(w)
			t.Cleanup(func() { _ = w.sock.Close() })
		}
		return err
	})
	b.beats.paths.Store(&map[string]*path{"lb1": p})
	t.Cleanup(func() { b.beats.paths.Store(&map[string]*path{}) })
	const most = 20
	for n := range most {
		a.beat("lb2", fmt.Sprint(n))
	}
	for end := time.Now().Add(patience); len(b.heard) < most && time.Now().Before(end); {
		b.beats.Drain()
	}
	for n := range most {
		b.hears("lb1", fmt.Sprint(n))
	}
}

func TestHeartbeatsOverIPv6(t *testing.T) {
	l, r := pair6(t)
	a, b := newHeart(l), newHeart(r)
	a.paths(Path{Name: "b", Address: right6, Interface: "eth0", Port: beatPort})
	b.paths(Path{Name: "a", Address: left6, Interface: "eth0", Port: beatPort})
	a.beat("b", "hello")
	b.hears("a", "hello")
}

// say sends a datagram from an address and a port of the node.
func (h *heart) say(from netip.AddrPort, ttl int, payload string) {
	h.t.Helper()
	h.do(func() error {
		d := net.Dialer{LocalAddr: net.UDPAddrFromAddrPort(from)}
		c, err := d.Dial("udp4", fmt.Sprintf("%v:%d", right, beatPort))
		if err != nil {
			return err
		}
		defer c.Close()
		if err := setTTL(c.(*net.UDPConn), ttl); err != nil {
			return err
		}
		_, err = c.Write([]byte(payload))
		return err
	})
}

func TestOnlyThePeerIsHeardAndOnlyFromTheLink(t *testing.T) {
	a, b := hearts(t)
	b.paths(toLeft("lb1"))
	a.say(netip.AddrPortFrom(left, 4000), 255, "another port")
	a.say(netip.AddrPortFrom(left, beatPort), 254, "forwarded")
	b.hearsNothing()
	a.say(netip.AddrPortFrom(left, beatPort), 255, "from the link")
	b.hears("lb1", "from the link")
	if s := b.beats.Stats()[0]; s.Forwarded != 1 || s.Received != 1 {
		t.Errorf("counted %+v, want one forwarded, one received", s)
	}
	routed := toLeft("lb1")
	routed.Routed = true
	b.paths(routed)
	a.say(netip.AddrPortFrom(left, beatPort), 64, "over routers")
	b.hears("lb1", "over routers")
}

func TestPeerWithoutASocketIsNoFault(t *testing.T) {
	a, b := hearts(t)
	a.paths(toRight("lb2"))
	for range 5 {
		a.beat("lb2", "into the void")
		time.Sleep(5 * time.Millisecond) // for the answer, that the port is closed
	}
	b.paths(toLeft("lb1"))
	a.beat("lb2", "hello")
	b.hears("lb1", "hello")
}

func TestPathFollowsAnInterfaceThatIsMadeAgain(t *testing.T) {
	left, right := newNode(t), newNode(t)
	a, b := newHeart(left), newHeart(right)
	bound, free := toLeft("bound"), toLeft("bound")
	bound.Interface = "eth0"
	for _, p := range []Path{bound, free} {
		a.paths(toRight("lb2"))
		b.paths(p) // no interface is there yet
		if err := a.beats.Send("lb2", nil); err == nil {
			t.Error("sent without an interface")
		}
		for _, message := range []string{"first", "second"} {
			cable(left, right, "eth0")
			left.do(func() error { a.beats.Refresh(); return nil })
			right.do(func() error { b.beats.Refresh(); return nil })
			a.beat("lb2", message)
			b.hears("bound", message)
			left.unplug()
		}
		a.paths()
		b.paths()
	}
}

func TestAPortThatNobodyListensOnIsTold(t *testing.T) {
	a, b := hearts(t)
	other := toLeft("lb1")
	other.Port++
	a.paths(toRight("lb2"))
	b.paths(other)
	for range 3 {
		a.beat("lb2", "hello")
	}
	select {
	case p := <-a.refused:
		if p.Name != "lb2" || p.Port != beatPort {
			t.Errorf("refused by %+v", p)
		}
	case <-time.After(patience):
		t.Fatal("nothing was told")
	}
	if s := a.beats.Stats()[0]; s.Refused == 0 {
		t.Errorf("counted %+v", s)
	}
}
