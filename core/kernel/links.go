package kernel

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/core/node"
)

const (
	// coalesce is how long changes are gathered before the interfaces are read: most come in bursts.
	coalesce = 10 * time.Millisecond
	// linkBuffer holds the notifications of some thousand changes at once.
	linkBuffer = 4 << 20
	// resubscribePause is how long the monitor waits when the kernel refuses it.
	resubscribePause = time.Second
)

// LinkOptions are what [NewLinks] needs.
type LinkOptions struct {
	// Logger gets what an operator should know. Required.
	Logger *slog.Logger
	// Changed is called with the state of all interfaces: once at the beginning, and then whenever it has changed. Required.
	Changed func(node.Links)
	// Drift is called at once when an address was deleted or changed, or an interface has come, gone, or changed its state, by
	// whomever. It must not block. Required.
	Drift func()
}

// Links follows the interfaces of the network namespace of the thread that runs [Links.Run].
type Links struct {
	opt    LinkOptions
	buffer int // of the subscription, in bytes
	lost   atomic.Uint64
}

// NewLinks makes a monitor that does nothing yet.
func NewLinks(opt LinkOptions) *Links { return &Links{opt: opt, buffer: linkBuffer} }

// Lost counts how often notifications were lost. Each time, everything was read anew.
func (l *Links) Lost() uint64 { return l.lost.Load() }

// Run tells of changes until ctx ends. Both functions of the options are called by goroutines of its own, Changed always by
// the same one.
func (l *Links) Run(ctx context.Context) error {
	r, err := dialRoute()
	if err != nil {
		return err
	}
	defer r.close()
	var last node.Links
	for {
		last, err = l.follow(ctx, r, last)
		if ctx.Err() != nil {
			return nil
		}
		l.lost.Add(1)
		l.opt.Logger.Warn("notifications of the kernel were lost; everything is read anew", "error", err)
		if errors.Is(err, unix.ENOBUFS) {
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(resubscribePause):
		}
	}
}

// follow subscribes, reads everything, and tells of changes until the subscription breaks. It returns the state last told.
func (l *Links) follow(ctx context.Context, r *rtnl, last node.Links) (node.Links, error) {
	s, err := l.subscribe()
	if err != nil {
		return last, err
	}
	dirty, broken := make(chan struct{}, 1), make(chan error, 1)
	go func() { broken <- l.receive(s, dirty) }()
	defer func() {
		s.Close()
		if err == nil {
			<-broken
		}
	}()
	l.opt.Drift() // what happened before the subscription was told to nobody
	for {
		now, readErr := readLinks(r)
		if readErr != nil {
			return last, readErr
		}
		if last == nil || !maps.EqualFunc(last, now, equalLink) {
			moved := last != nil && !maps.EqualFunc(last, now, sameState)
			last = now
			l.opt.Changed(now)
			if moved {
				l.opt.Drift() // an interface that is back can hold again what it could not
			}
		}
		select {
		case <-ctx.Done():
			return last, nil
		case err = <-broken:
			return last, err
		case <-dirty:
			time.Sleep(coalesce)
		case <-time.After(lookEvery):
		}
	}
}

func (l *Links) subscribe() (*nl.NetlinkSocket, error) {
	s, err := nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR)
	if err != nil {
		return nil, fmt.Errorf("subscribe to the interfaces: %w", err)
	}
	if s.SetReceiveBufferSize(l.buffer, true) != nil { // beyond the limit only with CAP_NET_ADMIN
		_ = s.SetReceiveBufferSize(l.buffer, false)
	}
	p, err := renewalFilter()
	if err == nil {
		err = filterSocket(s.GetFd(), p)
	}
	if err != nil {
		l.opt.Logger.Debug("notifications of our own addresses are not filtered", "error", err)
	}
	return s, nil
}

// receive sorts the notifications until the subscription breaks: the buffer was too small for them, or it was closed.
func (l *Links) receive(s *nl.NetlinkSocket, dirty chan struct{}) error {
	for {
		messages, from, err := s.Receive()
		if err != nil {
			return fmt.Errorf("receive from the kernel: %w", err)
		}
		if from.Pid != nl.PidKernel {
			continue // some process plays the kernel
		}
		for _, m := range messages {
			concerns, drift := classify(m.Header.Type, m.Data)
			if drift {
				l.opt.Drift()
			}
			if concerns {
				nudge(dirty)
			}
		}
	}
}

// classify tells whether a notification can change what [readLinks] gives, and whether an address of ours may be affected. The
// renewals of our own leases come by here many times a second, and mean nothing.
func classify(typ uint16, data []byte) (concerns, drift bool) {
	switch typ {
	case unix.RTM_NEWLINK:
		return true, false
	case unix.RTM_DELLINK:
		return true, true
	case unix.RTM_NEWADDR:
		e, err := parseEntry(data)
		ours := err == nil && e.mark == mark
		return !ours, !ours
	case unix.RTM_DELADDR:
		return true, true
	}
	return false, false
}

// readLinks reads the state of all interfaces, and leaves out the addresses that bear our mark, and those that cannot be used yet.
func readLinks(r *rtnl) (node.Links, error) {
	links, err := r.links()
	if err != nil {
		return nil, err
	}
	entries, err := r.list()
	if err != nil {
		return nil, err
	}
	addresses := map[int][]netip.Prefix{}
	for _, primary := range []bool{true, false} {
		for _, e := range entries {
			if e.mark != mark && e.secondary != primary && !e.unusable {
				addresses[e.index] = append(addresses[e.index], e.prefix)
			}
		}
	}
	all := make(node.Links, len(links))
	for _, l := range links {
		one := node.Link{Index: l.index, Up: l.up(), Addresses: addresses[l.index]}
		if one.Up && len(one.Addresses) > 0 {
			one.Gateways = r.gateways(l.index)
		}
		all[l.name] = one
	}
	return all, nil
}

// up is true where the administrator has it up (IFF_UP), its state of RFC 2863 is up or unknown (IFF_RUNNING), and it has
// carrier (IFF_LOWER_UP, which falls before the kernel has got round to the state).
func (l link) up() bool {
	const all = unix.IFF_UP | unix.IFF_RUNNING | unix.IFF_LOWER_UP
	return l.flags&all == all
}

func sameState(a, b node.Link) bool { return a.Index == b.Index && a.Up == b.Up }

func equalLink(a, b node.Link) bool {
	return a.Index == b.Index && a.Up == b.Up && slices.Equal(a.Addresses, b.Addresses) && slices.Equal(a.Gateways, b.Gateways)
}
