package e2e

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/vipward/vipward/tests/lab/probe"
	"github.com/vipward/vipward/tests/lab/router"
	"github.com/vipward/vipward/tests/lab/topology"
)

const (
	// putBack is how long a VIP may be away that somebody else has deleted.
	putBack = 100 * time.Millisecond
	// linkwatch is how long the kernel takes at most to say that a new interface is up (net/core/link_watch.c).
	linkwatch = time.Second
)

// interfaces come late, get another name, are deleted and made again: each time the node takes part again by itself.
func interfaces(t *T) {
	l := newPair(t)
	t.Must(l.Unplug(topology.LB1))
	l.lb1.start()
	l.lb1.await("FAULT", 5*time.Second)
	if reason := l.lb1.status().Instances[0].Reason; !strings.Contains(reason, "there is no interface eth0") {
		t.Errorf("the reason is %q, want that the interface is missing", reason)
	}
	t.Must(l.Plug(topology.LB1))
	l.lb1.await("MASTER", interval+down+slack)
	l.lb2.start()
	l.lb2.await("BACKUP", 5*time.Second)
	l.byHand()

	for _, change := range []struct {
		what       string
		away, back func() error
	}{
		{"renamed", func() error { return l.Rename(topology.LB1, "eth0", "lan0") }, func() error { return l.Rename(topology.LB1, "lan0", "eth0") }},
		{"deleted and made again", func() error { return l.Unplug(topology.LB1) }, func() error { return l.Plug(topology.LB1) }},
	} {
		stop := l.measure(udp())
		time.Sleep(300 * time.Millisecond)
		t.Must(change.away())
		l.lb1.await("FAULT", slack)
		l.lb2.await("MASTER", down+slack)
		l.alone(topology.LB2)
		time.Sleep(300 * time.Millisecond)
		back := time.Now()
		t.Must(change.back())
		l.lb1.await("MASTER", linkwatch+down+slack)
		l.lb2.await("BACKUP", slack)
		time.Sleep(500 * time.Millisecond)
		l.alone(topology.LB1)
		r := stop()
		silence, _ := r.UDP.Between(back, time.Time{}).Silence()
		t.Figure(change.what+": silence over the return", silence)
		if silence > blip {
			t.Errorf("%s: the return cost %v", change.what, silence)
		}
		l.one(r.Wire, 1)
	}
}

// byHand deletes the VIP ten times: it is back at once, and nobody is elected.
func (l *lab) byHand() {
	seq1, seq2 := l.lb1.last(), l.lb2.last()
	longest := time.Duration(0)
	const times = 10
	for range times {
		l.Must(l.lb1.node.RemoveAddress(topology.VIP))
		began := time.Now()
		for l.owner(topology.LB1) != nil && time.Since(began) < 5*time.Second {
			time.Sleep(time.Millisecond)
		}
		longest = max(longest, time.Since(began))
		time.Sleep(50 * time.Millisecond)
	}
	l.Figure("VIP back within", longest)
	if longest > putBack {
		l.Errorf("the VIP that was deleted by hand was away for %v, want at most %v", longest, putBack)
	}
	l.Eventually("events tell of it", 2*time.Second, func() error {
		if n := len(l.lb1.since(seq1, func(o occurrence) bool { return o.Code == "address.repaired" })); n != times {
			return fmt.Errorf("%d events, want %d", n, times)
		}
		return nil
	})
	if moved := append(l.lb1.since(seq1, stateChange), l.lb2.since(seq2, stateChange)...); len(moved) > 0 {
		l.Errorf("an address that was deleted moved something: %v", moved)
	}
}

// handoverToKeepalived hands over to a keepalived that obeys a resignation, and then to one that never hears it: then the lowered
// priority invites it to preempt. Neither costs a datagram.
func handoverToKeepalived(t *T) {
	l := newNet(t)
	l.echoes()
	l.lb1 = l.director(topology.LB1, configuration(t, "pair-vip.hcl"))
	other := l.keepalived(topology.LB2, router.Settings{Version: 3})
	for _, way := range []struct {
		what   string
		within time.Duration
		deaf   bool
	}{{"resignation", skewed + slack, false}, {"lowered priority", down + slack, true}} {
		l.lb1.start()
		l.lb1.await("MASTER", 15*time.Second)
		other.start(100)
		time.Sleep(time.Second)
		if way.deaf {
			l.ignoreResignations()
		}
		stop := l.measure(udp())
		time.Sleep(300 * time.Millisecond)
		l.lb1.do("failover", "--all")
		l.moved(way.what+": moved", topology.LB2, way.within)
		time.Sleep(500 * time.Millisecond)
		r := stop()
		l.lossless(way.what, r, "lb1", "lb2")
		invited := slices.ContainsFunc(r.Wire.Adverts, func(a probe.Advert) bool { return a.Source == l.lb1.node.Addr && a.Priority == 1 })
		if invited != way.deaf {
			t.Errorf("%s: lb1 advertised priority 1: %v", way.what, invited)
		}
		l.lb1.terminate()
		other.Stop()
	}
}

// ignoreResignations drops adverts of priority 0 at lb2: the third byte of the message.
func (l *lab) ignoreResignations() {
	_, err := l.Node(topology.LB2).Output("nft", "add table netdev deaf; "+
		`add chain netdev deaf in { type filter hook ingress device "eth0" priority 0; }; `+
		"add rule netdev deaf in ip protocol 112 @th,16,8 0 drop")
	l.Must(err)
}

// flooded by junk, a pair counts it by its reason, tells of each once, and does nothing else.
func junkScenario(t *T) {
	l := newPair(t)
	l.up()
	seq1, seq2 := l.lb1.last(), l.lb2.last()
	said := len(l.lb1.proc.Log())
	kinds := junk(l.Node(topology.Client))
	l.flood(kinds, 20_000, 3*time.Second)
	count := l.lb1.status().Instances[0].Counters.Discarded
	for _, k := range kinds {
		if k.name != "" && count[k.name] < 1000 {
			t.Errorf("%d messages were discarded for %q, want thousands", count[k.name], k.name)
		}
	}
	if moved := append(l.lb1.since(seq1, stateChange), l.lb2.since(seq2, stateChange)...); len(moved) > 0 {
		t.Errorf("junk moved something: %v", moved)
	}
	told := map[string]int{}
	for line := range strings.Lines(l.lb1.proc.Log()[said:]) {
		if _, rest, found := strings.Cut(line, " is discarded ("); found {
			reason, _, _ := strings.Cut(rest, ")")
			told[reason]++
		}
	}
	for reason, times := range told {
		if times != 1 {
			t.Errorf("the log tells %d times of %s, want once", times, reason)
		}
	}
	if len(told) < 5 {
		t.Errorf("the log tells of %v only", told)
	}
	l.alone(topology.LB1)
}
