package wire

import (
	"log/slog"
	"net"
	"sync/atomic"
)

// port is one family on one interface that is wished for, with its socket while it exists. Its counters outlive its sockets.
type port struct {
	name    string
	six     bool
	receive func([]Packet)
	log     *slog.Logger

	received, malformed, drops, sent, sendErrors atomic.Uint64

	conn      atomic.Pointer[conn]
	multicast bool   // guarded by Wire.mu, like the rest
	frames    bool   // messages are sent as frames, too
	index     int    // of the interface that conn is bound to
	why       string // conn is missing, as last logged

	out outbox // guarded by Wire.sending
}

func newPort(k key, opt Options) *port {
	family := "ipv4"
	if k.six {
		family = "ipv6"
	}
	return &port{name: k.name, six: k.six, receive: opt.Receive, log: opt.Logger.With("interface", k.name, "family", family)}
}

// join makes the socket a member of VRRP's group or ends that. Where the kernel refuses, the socket is opened anew.
func (p *port) join(multicast bool) {
	c := p.conn.Load()
	if c != nil && multicast != p.multicast && c.join(multicast) != nil {
		p.close()
	}
	p.multicast = multicast
}

// refresh makes the socket fit the interface as it is now.
func (p *port) refresh() {
	ifi, err := net.InterfaceByName(p.name)
	if err != nil {
		p.close()
		p.missing(err)
		return
	}
	if c := p.conn.Load(); c != nil && p.index == ifi.Index && p.frames == (c.frames != nil) {
		return
	}
	p.close()
	c, err := open(p.name, ifi.Index, p.six, p.multicast)
	if err == nil && p.frames {
		err = c.openFrames()
	}
	if err != nil {
		p.missing(err)
		return
	}
	p.index, p.why = ifi.Index, ""
	c.reader = &reader{c: c, p: p, in: newInbox()}
	p.conn.Store(c)
	go c.read(p)
	p.log.Debug("socket opened", "index", ifi.Index, "multicast", p.multicast)
}

// missing logs why there is no socket, each reason once.
func (p *port) missing(err error) {
	if why := err.Error(); why != p.why {
		p.why = why
		p.log.Warn("no adverts can be sent or received until the interface is back", "error", err)
	}
}

// close ends the socket, if there is one, and waits for its reader.
func (p *port) close() {
	c := p.conn.Swap(nil)
	if c == nil {
		return
	}
	p.drops.Add(drops(c.sock))
	c.close()
}

func (p *port) stats() Stats {
	s := Stats{
		Interface:  p.name,
		IPv6:       p.six,
		Received:   p.received.Load(),
		Malformed:  p.malformed.Load(),
		Drops:      p.drops.Load(),
		Sent:       p.sent.Load(),
		SendErrors: p.sendErrors.Load(),
	}
	if c := p.conn.Load(); c != nil {
		s.Open = true
		s.Drops += drops(c.sock)
	}
	return s
}
