package wire

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vipward/vipward/core/node"
)

// Send sends adverts with TTL 255 and TOS 0xc0, by the socket of their family, in their order on each interface; those of one interface
// in one call, however many. An IPv6 source must be an address of the interface. A hardware address that is not the interface's own
// needs a group as destination, and a port that was wished for with frames. It never blocks, and calls failed for each that could not
// be sent: where the interface's queue is full, with EAGAIN or ENOBUFS.
func (w *Wire) Send(all []node.Advert, failed func(node.Advert, error)) {
	w.sending.Lock()
	defer w.sending.Unlock()
	ports := *w.ports.Load()
	for k := range all {
		a := &all[k]
		p := ports[key{a.Interface, a.Source.Is6()}]
		if p == nil {
			failed(*a, fmt.Errorf("send to %v on %s: %w", a.Destination, a.Interface, ErrClosed))
			continue
		}
		if p.out.n == 0 {
			w.filled = append(w.filled, p)
		}
		p.put(a, failed)
	}
	for _, p := range w.filled {
		p.flush(failed)
	}
	w.filled = w.filled[:0]
}

// put has a message wait for the others of its interface, or sends it where it goes alone.
func (p *port) put(a *node.Advert, failed func(node.Advert, error)) {
	if a.MAC != [6]byte{} {
		p.flush(failed)
		if err := p.sendFrame(a.MAC, a.Source, a.Destination, a.Payload); err != nil {
			p.sendErrors.Add(1)
			failed(*a, fmt.Errorf("send to %v on %s from %v: %w", a.Destination, p.name, net.HardwareAddr(a.MAC[:]), err))
			return
		}
		p.sent.Add(1)
		return
	}
	if p.out.n == maxBatch {
		p.flush(failed)
	}
	if err := p.add(a); err != nil {
		p.lost(a, err, failed)
	}
}

func (p *port) add(a *node.Advert) error {
	if !p.six {
		if err := both4(a.Source, a.Destination); err != nil {
			return err
		}
		p.out.of[p.out.n] = a
		p.out.add4(a.Source, a.Destination, a.Payload)
		return nil
	}
	c := p.conn.Load()
	switch {
	case c == nil:
		return ErrClosed
	case !unmapped6(a.Source) || !unmapped6(a.Destination):
		return fmt.Errorf("from %v to %v: both must be IPv6 addresses", a.Source, a.Destination)
	}
	scope := uint32(0)
	if a.Destination.IsLinkLocalUnicast() || a.Destination.IsLinkLocalMulticast() {
		scope = uint32(c.index)
	}
	p.out.of[p.out.n] = a
	p.out.add6(a.Destination, scope, a.Payload, source6(a.Source, c.index))
	return nil
}

func unmapped6(a netip.Addr) bool { return a.Is6() && !a.Is4In6() }

// flush gives the kernel what waits.
func (p *port) flush(failed func(node.Advert, error)) {
	if p.out.n == 0 {
		return
	}
	waiting := p.out.n
	err := p.with(func(fd uintptr) {
		p.out.send(fd, func(k int, err error) {
			waiting--
			p.lost(p.out.of[k], err, failed)
		})
		p.sent.Add(uint64(waiting))
	})
	if err != nil {
		for _, a := range p.out.of[:p.out.n] {
			p.lost(a, err, failed)
		}
		p.out.n = 0
	}
}

// with calls f with the socket, unless there is none.
func (p *port) with(f func(fd uintptr)) error {
	c := p.conn.Load()
	if c == nil {
		return ErrClosed
	}
	raw, err := c.sock.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Control(f)
}

func (p *port) lost(a *node.Advert, err error, failed func(node.Advert, error)) {
	p.sendErrors.Add(1)
	failed(*a, fmt.Errorf("send to %v on %s: %w", a.Destination, p.name, err))
}
