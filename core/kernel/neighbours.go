package kernel

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/node"
	"github.com/vipward/vipward/core/vrrp"
)

// askQueue is how many questions may wait. They are asked within microseconds.
const askQueue = 1024

// NeighbourOptions are what [NewNeighbours] needs.
type NeighbourOptions struct {
	// Logger gets what an operator should know. Required.
	Logger *slog.Logger
	// Report is called from several goroutines, of them the one that calls [Neighbours.Drain], with [node.Seen] and [node.Unasked]. It
	// must not block. Required.
	Report func(node.Input)
}

// Neighbours asks the machines on the local networks who has an address, and tells who else answers for the addresses that are
// watched, or claims them. It sends one frame for each question: to ask again is for the asker to say.
type Neighbours struct {
	opt   NeighbourOptions
	wish  *mailbox[[]desired.Watch]
	asks  chan node.Ask
	moved chan struct{}
	heard atomic.Pointer[[]*watcher] // those with a socket

	asked, unasked, seen, folded, limited, drops atomic.Uint64
}

// NeighbourStats are counted since the start.
type NeighbourStats struct {
	// Asked are the questions that were sent, Unasked those that could not be.
	Asked, Unasked uint64
	// Seen are the sightings that were told. Folded ones were no news, Limited ones too many, and Drops are what the kernel threw
	// away because nobody read fast enough.
	Seen, Folded, Limited, Drops uint64
}

// NewNeighbours makes one that does nothing yet.
func NewNeighbours(opt NeighbourOptions) *Neighbours {
	n := &Neighbours{opt: opt, wish: newMailbox[[]desired.Watch](), asks: make(chan node.Ask, askQueue), moved: make(chan struct{}, 1)}
	n.heard.Store(&[]*watcher{})
	return n
}

// Set replaces what is watched. It never blocks.
func (n *Neighbours) Set(watched []desired.Watch) { n.wish.put(watched) }

// Refresh is to be called after each change of the interfaces. It never blocks.
func (n *Neighbours) Refresh() { nudge(n.moved) }

// Ask asks for an address, which must be watched for the answer to be told, once what was set before is watched. It never blocks: a
// question that cannot be asked comes back as [node.Unasked].
func (n *Neighbours) Ask(a node.Ask) {
	select {
	case n.asks <- a:
	default:
		n.refuse(a, fmt.Sprintf("%d questions wait already", askQueue))
	}
}

// Drain tells what has arrived and was not read yet. When it returns, all that arrived before has been told, by the calling goroutine or
// the one that reads the socket. It may be called at any time.
func (n *Neighbours) Drain() {
	for _, w := range *n.heard.Load() {
		w.drain()
	}
}

// Stats may be called at any time.
func (n *Neighbours) Stats() NeighbourStats {
	return NeighbourStats{
		Asked: n.asked.Load(), Unasked: n.unasked.Load(),
		Seen: n.seen.Load(), Folded: n.folded.Load(), Limited: n.limited.Load(), Drops: n.drops.Load(),
	}
}

func (n *Neighbours) refuse(a node.Ask, reason string) {
	n.unasked.Add(1)
	n.opt.Report(node.Unasked{Interface: a.Interface, Address: a.Address, Reason: reason})
}

// Run watches and asks until ctx ends, in the network namespace of the thread that calls it.
func (n *Neighbours) Run(ctx context.Context) error {
	r, err := dialRoute()
	if err != nil {
		return err
	}
	defer r.close()
	p, err := openPacket()
	if err != nil {
		return err
	}
	defer p.close()
	w := &watch{part: n, rtnl: r, sender: p, watchers: map[watchKey]*watcher{}}
	defer w.close()
	timer := time.NewTicker(lookEvery)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-n.wish.changed:
			w.take()
		case a := <-n.asks:
			w.ask(a)
			continue
		case <-n.moved:
		case <-timer.C:
		}
		w.refresh()
	}
}

// watch is the state of Run, which belongs to its goroutine.
type watch struct {
	part     *Neighbours
	rtnl     *rtnl
	sender   sender
	want     []desired.Watch
	dirty    bool // want, or the interfaces, are not acted on yet
	links    map[string]segment
	own      ownMACs
	watchers map[watchKey]*watcher
	told     string // the last error
}

// segment is one interface, and what is needed to ask there.
type segment struct {
	link
	source netip.Addr // link-local
}

// mute says why nobody can be asked there; empty where one can.
func (s segment) mute() string {
	if s.flags&(unix.IFF_NOARP|unix.IFF_LOOPBACK) != 0 || len(s.mac) == 0 {
		return "there are no hardware addresses on it to ask for"
	}
	if !s.up() {
		return "it is down"
	}
	return ""
}

func (w *watch) take() {
	want, number := w.part.wish.take()
	w.dirty = w.dirty || !slices.Equal(want, w.want)
	w.want = want
	w.part.wish.finish(number)
}

// ask sends one question, after what was wished before it is watched.
func (w *watch) ask(a node.Ask) {
	select {
	case <-w.part.wish.changed:
		w.take()
		w.renew()
	default:
	}
	if reason := w.question(a); reason != "" {
		w.part.refuse(a, reason)
		return
	}
	w.part.asked.Add(1)
}

// question tells why it could not be asked.
func (w *watch) question(a node.Ask) string {
	l, known := w.links[a.Interface]
	watcher := w.watchers[watchKey{a.Interface, a.Address.Is6()}]
	switch {
	case !known:
		return "interface " + a.Interface + " does not exist"
	case l.mute() != "":
		return "nobody can be asked on " + a.Interface + ": " + l.mute()
	case watcher == nil || !watcher.ask(a.Address):
		return "answers for it are not watched on " + a.Interface
	}
	frame, err := question(l.mac, a.Address, l.source)
	if err == nil {
		err = w.sender.send(l.index, frame)
	}
	if err != nil {
		nudge(w.part.moved) // the interface may have been made again
		return fmt.Sprintf("send the question on %s: %v", a.Interface, err)
	}
	return ""
}

// renew refreshes where that is due, and refresh in any case.
func (w *watch) renew() {
	if w.dirty {
		w.refresh()
	}
}

// refresh makes the sockets fit what is watched and the interfaces as they are now.
func (w *watch) refresh() {
	w.dirty = false
	if err := w.look(); err != nil {
		w.tell(err)
		return
	}
	by := map[watchKey][]netip.Addr{}
	for _, v := range w.want {
		k := watchKey{v.Interface, v.Address.Is6()}
		by[k] = append(by[k], v.Address)
	}
	for k, old := range w.watchers {
		old.count()
		if l, there := w.links[k.name]; by[k] == nil || !there || l.index != old.index || len(l.mac) == 0 {
			old.close()
			delete(w.watchers, k)
		}
	}
	var failed error
	for k, addresses := range by {
		l := w.links[k.name]
		if len(l.mac) == 0 {
			continue // it does not exist, or has no hardware addresses
		}
		one := w.watchers[k]
		var err error
		if one == nil {
			if one, err = openWatcher(w.part, k, l.index, &w.own); err == nil {
				go one.read()
			}
		}
		if err == nil {
			w.watchers[k] = one
			err = one.set(addresses)
		}
		if err != nil {
			failed = fmt.Errorf("watch addresses on %s: %w", k.name, err)
		}
	}
	all := slices.Collect(maps.Values(w.watchers))
	w.part.heard.Store(&all)
	w.tell(failed)
}

// tell logs an error once.
func (w *watch) tell(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != w.told && err != nil {
		w.part.opt.Logger.Warn("who else answers for the VIPs is not known everywhere; the next try is within 30s", "error", err)
	}
	w.told = text
}

// look reads the interfaces.
func (w *watch) look() error {
	links, err := w.rtnl.links()
	if err != nil {
		return err
	}
	entries, err := w.rtnl.list()
	if err != nil {
		return err
	}
	source := map[int]netip.Addr{}
	for _, e := range entries {
		if e.prefix.Addr().IsLinkLocalUnicast() && e.prefix.Addr().Is6() && !e.unusable && e.mark != mark {
			source[e.index] = e.prefix.Addr()
		}
	}
	w.links = make(map[string]segment, len(links))
	own := map[[6]byte]bool{}
	for _, l := range links {
		w.links[l.name] = segment{l, source[l.index]}
		if len(l.mac) == 6 && !vrrp.IsVirtualMAC([6]byte(l.mac)) { // which the peer has as well
			own[[6]byte(l.mac)] = true
		}
	}
	w.own.Store(&own)
	return nil
}

func (w *watch) close() {
	for _, one := range w.watchers {
		one.close()
	}
}
