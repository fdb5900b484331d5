// Package probe measures what a client of a virtual address sees: questions that stay without an answer, the longest
// silence, who answered, and on the wire beside it who claims the address and who says that it is master. Collecting and
// judging are apart: [Flow] and [Wire] are plain values with the arithmetic. It is not a load generator.
package probe

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/tests/lab/topology"
)

// Config says what to ask. The wire is always watched.
type Config struct {
	// VIP that is asked and watched.
	VIP netip.Addr
	// UDP is the time between two datagrams to port 7000 of the VIP; zero sends none.
	UDP time.Duration
	// Pacer sends the datagrams and the ARP requests to VIP; nil for threads of the probe's own.
	Pacer *Pacer
	// VIP6 is a second address that is asked at the same pace, over IPv6; none where it is not valid.
	VIP6 netip.Addr
	// HTTP is the time between two GET requests of /index.html to port 80 of the VIP; zero sends none.
	HTTP time.Duration
	// Timeout of a request. Default 1 s.
	Timeout time.Duration
	// Ask is the time between two ARP requests for VIP. Default 20 ms.
	Ask time.Duration
	// Apart has them come from an address that nobody has, so that the answers do not put right what the node has learned of VIP.
	Apart bool
}

// Port is the UDP port that is asked.
const Port = 7000

// Report is what a run has found.
type Report struct {
	UDP, UDP6, HTTP Flow
	Wire            Wire
	// Late is the worst lateness of the probe against its own schedule: the error bar of every figure.
	Late time.Duration
}

// Probe is a measurement from one node. Its sockets are open from New to the end of Run.
type Probe struct {
	udp   *udpProbe
	udp6  *udpProbe
	http  *httpProbe
	watch *Watch
}

// New prepares a measurement from a node.
func New(from *topology.Node, c Config) (*Probe, error) {
	var p Probe
	var err error
	if p.watch, err = NewWatch(from, c.VIP); err != nil {
		return nil, err
	}
	p.watch.every, p.watch.pacer = cmp.Or(c.Ask, askEvery), c.Pacer
	if c.Apart {
		p.watch.frame = arpRequest(apartMAC, apartAddr, c.VIP)
	}
	if c.UDP > 0 {
		if p.udp, err = newUDPProbe(from.NS, netip.AddrPortFrom(c.VIP, Port), c.UDP); err != nil {
			return nil, fmt.Errorf("prepare the UDP probe: %w", err)
		}
		p.udp.pacer = c.Pacer
	}
	if c.VIP6.IsValid() {
		if p.udp6, err = newUDPProbe(from.NS, netip.AddrPortFrom(c.VIP6, Port), c.UDP); err != nil {
			return nil, fmt.Errorf("prepare the UDP probe over IPv6: %w", err)
		}
	}
	if c.HTTP > 0 {
		p.http = &httpProbe{ns: from.NS, to: netip.AddrPortFrom(c.VIP, 80), interval: c.HTTP, timeout: c.Timeout}
		if c.Timeout == 0 {
			p.http.timeout = time.Second
		}
	}
	return &p, nil
}

// Run measures until the context ends, and a moment longer for the last answers. It may be called once.
func (p *Probe) Run(ctx context.Context) Report {
	stop := make(chan struct{})
	var senders, receivers sync.WaitGroup
	receivers.Go(func() { p.watch.Run(ctx) })
	for _, u := range []*udpProbe{p.udp, p.udp6} {
		if u != nil {
			senders.Go(func() { u.send(ctx) })
			receivers.Go(func() { u.receive(stop) })
		}
	}
	if p.http != nil {
		senders.Go(func() { p.http.run(ctx) })
	}
	senders.Wait()
	time.Sleep(linger) // for answers to the last questions
	close(stop)
	receivers.Wait()
	return p.report()
}

func (p *Probe) report() Report {
	r := Report{Wire: p.watch.Wire()}
	if p.udp != nil {
		r.UDP, r.Late = p.udp.flow(), p.udp.late
		unix.Close(p.udp.fd)
	}
	if p.udp6 != nil {
		r.UDP6, r.Late = p.udp6.flow(), max(r.Late, p.udp6.late)
		unix.Close(p.udp6.fd)
	}
	if p.http != nil {
		r.HTTP, r.Late = p.http.flow.sorted(), max(r.Late, p.http.late)
	}
	return r
}
