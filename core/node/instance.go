package node

import (
	"fmt"
	"slices"
	"time"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/event"
	"github.com/vipward/vipward/core/vrrp"
)

// An address that the kernel refuses puts its instance into FAULT for retryFirst, doubled each time up to retryMost.
const (
	retryFirst = 5 * time.Second
	retryMost  = time.Minute
)

// instance is one virtual router with what hangs on it: its VIPs, their leases and announcements, its tracks.
type instance struct {
	cfg    Instance
	router *vrrp.Router

	started bool // the router has been told to start
	waiting string
	source  bool // the router knows its primary address

	epoch   uint64    // of announcements
	renewed time.Time // when the lease was last confirmed
	holds   bool      // what the router said last

	refused map[desired.AddressKey]string // by the kernel
	retryAt time.Time                     // when a refused address is tried again; zero for none
	retry   time.Duration

	command uint64 // the failover under way; 0 for none
}

func newInstance(cfg Instance) *instance {
	return &instance{cfg: cfg, router: vrrp.NewRouter(cfg.VRRP), refused: map[desired.AddressKey]string{}}
}

func (i *instance) isMaster() bool { return i.router.State() == vrrp.Master }

func (i *instance) stopped() bool { return i.router.State() == vrrp.Init && !i.router.Holds() }

// received hands a packet to the router that it is for.
func (n *Node) received(now time.Time, in Received) {
	for _, i := range n.instances {
		// The VRID is the second byte of every version; a packet too short for it is counted by the first router.
		mine := len(in.Payload) < 2 || in.Payload[1] == i.cfg.VRRP.VRID
		if i.cfg.Interface == in.Interface && mine {
			n.step(now, i, vrrp.Received{Header: in.Header, Payload: in.Payload})
			return
		}
	}
}

// settle lets the facts act on one instance: its interface, tracks and refused addresses, and the clock.
func (n *Node) settle(now time.Time, i *instance) {
	n.learnSource(now, i)
	if n.started.IsZero() || n.stopping {
		n.tick(now, i)
		return
	}
	if !i.retryAt.IsZero() && !now.Before(i.retryAt) {
		i.retryAt = time.Time{}
		clear(i.refused)
	}
	reason := n.fault(i)
	switch {
	case reason != "":
		if i.router.State() != vrrp.Fault {
			i.started, i.waiting = true, ""
			n.step(now, i, vrrp.Fail{Reason: reason})
		}
	case i.router.State() == vrrp.Fault:
		n.step(now, i, vrrp.Recover{})
	}
	if p := n.priority(i); p != i.router.Effective() {
		n.step(now, i, vrrp.Priority{Effective: p})
	}
	if !i.started {
		n.begin(now, i)
	}
	n.tick(now, i)
}

// tick lets a deadline act that has come, whatever input brought the instant.
func (n *Node) tick(now time.Time, i *instance) {
	if d := i.router.Deadline(); !d.IsZero() && !now.Before(d) {
		n.step(now, i, vrrp.Timeout{})
	}
}

// begin starts the router as soon as nothing speaks against it.
func (n *Node) begin(now time.Time, i *instance) {
	// A lease that still runs says that no peer can have taken over yet. An address without one says nothing.
	leased := n.cfg.Lone || i.lease(n.cfg.Lone) > 0
	adopt := i.source && leased && slices.ContainsFunc(n.held, i.owns)
	i.waiting = ""
	if !adopt {
		i.waiting = n.undecided(now, i)
	}
	if i.waiting == "" {
		i.started = true
		n.step(now, i, vrrp.Start{Adopt: adopt})
	}
}

func (i *instance) owns(k desired.AddressKey) bool {
	return slices.ContainsFunc(i.cfg.Addresses, func(a VirtualAddress) bool { return a.key() == k })
}

func (a VirtualAddress) key() desired.AddressKey {
	return desired.AddressKey{Interface: a.Interface, Prefix: a.Prefix}
}

// learnSource gives the router the primary address of its interface, where the configuration names none.
func (n *Node) learnSource(now time.Time, i *instance) {
	addr := i.cfg.VRRP.Source
	if !addr.IsValid() {
		for _, p := range n.links[i.cfg.Interface].Addresses {
			if p.Addr().Is4() {
				addr = p.Addr()
				break
			}
		}
	}
	if !addr.IsValid() || (i.source && addr == i.router.Config().Source) {
		return
	}
	i.source = true
	n.step(now, i, vrrp.Source{Addr: addr})
}

// step is the only place where a router is stepped: it turns what the router says into packets, wishes and events.
func (n *Node) step(now time.Time, i *instance, in vrrp.Input) {
	n.take(now, i, i.router.Step(now, in))
}

func (n *Node) take(now time.Time, i *instance, out vrrp.Output) {
	for _, a := range out.Adverts {
		n.transmit(i, a)
	}
	if out.Announce {
		i.epoch++
		n.dirty = true
	}
	if holds := i.router.Holds(); holds != i.holds {
		i.holds, i.renewed, n.dirty = holds, now, true
	}
	n.renew(now, i, out.Adverts)
	if out.Changed {
		n.emit(i.transition(out))
	}
	for _, note := range out.Notes {
		n.emit(event.Event{
			Code: "instance." + note.Code, Severity: event.Warning, Kind: event.Instance, Subject: i.cfg.Name, Reason: note.Text,
		})
	}
	if h := out.Handover; h != nil && i.command != 0 {
		n.out.Answers = append(n.out.Answers, i.answer(h))
		i.command = 0
	}
}

func (i *instance) answer(h *vrrp.HandoverResult) Answer {
	a := Answer{ID: i.command, Took: h.Took}
	if h.OK {
		a.Text = fmt.Sprintf("%s was handed over to %s", i.cfg.Name, h.Peer)
		return a
	}
	a.Err = fmt.Errorf("%w: %s; this node stays MASTER of %s", ErrTimeout, h.Reason, i.cfg.Name)
	return a
}

// transition is the event of a change of state, in the words that notify scripts know: the end is called STOP.
func (i *instance) transition(out vrrp.Output) event.Event {
	e := event.Event{
		Code: "instance.state", Severity: event.Info, Kind: event.Instance, Subject: i.cfg.Name,
		From: out.From.String(), To: out.To.String(), Reason: out.Reason,
		Priority: int(i.router.Effective()), Notify: i.cfg.Notify,
	}
	switch out.To {
	case vrrp.Fault:
		e.Severity = event.Warning
	case vrrp.Init:
		e.To = "STOP"
	}
	return e
}

// transmit addresses one advert to everybody who is to hear it.
func (n *Node) transmit(i *instance, a vrrp.Advert) {
	src := i.router.Config().Source
	to := i.cfg.VRRP.Peers
	if len(to) == 0 {
		to = vrrp.Group(src)
	}
	for _, dst := range to {
		n.out.Adverts = append(n.out.Adverts, Advert{
			Interface: i.cfg.Interface, Source: src, Destination: dst, Payload: a.Append(nil, src, dst),
		})
	}
}

// handover lets the peer take over before this node lets go.
func (n *Node) handover(now time.Time, i *instance, stop bool) {
	n.step(now, i, vrrp.Handover{Stop: stop})
}

// retire ends an instance: a master hands over, any other just ends.
func (n *Node) retire(now time.Time, i *instance) {
	i.started = true
	if i.command != 0 {
		n.out.Answers = append(n.out.Answers, Answer{ID: i.command, Err: fmt.Errorf("%w: the daemon is stopping", ErrRefused)})
		i.command = 0
	}
	n.handover(now, i, true)
}

// applied takes the kernel's answer: an address that it refuses takes its instance out of the election.
func (n *Node) applied(now time.Time, in Applied) {
	for _, i := range n.instances {
		for _, a := range i.cfg.Addresses {
			reason, failed := in.Failed[a.key()]
			if failed && i.holds && i.refused[a.key()] == "" {
				n.refuse(now, i, a.key(), reason)
			}
		}
		if len(in.Failed) == 0 && i.holds && len(i.refused) == 0 {
			i.retry = 0
		}
	}
	for _, k := range in.Repaired {
		n.emit(event.Event{
			Code: "address.repaired", Severity: event.Warning, Kind: event.Address, Subject: k.Prefix.String(),
			Reason: "somebody else had removed it from " + k.Interface + "; it was put back",
		})
	}
}

func (n *Node) refuse(now time.Time, i *instance, k desired.AddressKey, reason string) {
	i.refused[k] = reason
	i.retry = min(max(2*i.retry, retryFirst), retryMost)
	i.retryAt = now.Add(i.retry)
	n.emit(event.Event{
		Code: "address.refused", Severity: event.Critical, Kind: event.Address, Subject: k.Prefix.String(),
		Reason: reason + "; the next try is in " + i.retry.String(),
	})
}
