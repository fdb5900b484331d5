package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/vipward/vipward/core/control"
	"github.com/vipward/vipward/tests/lab/probe"
	"github.com/vipward/vipward/tests/lab/topology"
)

const (
	// keptOpen is the number of connections that the client of this scenario keeps, over the six services.
	keptOpen = 200
	// keptBeat is the time between two questions on each of them.
	keptBeat = time.Second
	// askedEvery is the time between two requests of it, each over a fresh connection.
	askedEvery = 2 * time.Millisecond
	// keptPatience is how long any question may take: the outage after a director's death, and the doubling pauses after which TCP
	// sends again.
	keptPatience = 15 * time.Second
)

// way is one way in which packets get to the real servers, in one family.
type way struct {
	forward string
	vip     netip.Addr
	servers [2]netip.AddrPort
}

func (w way) name() string {
	family := "ipv4"
	if w.vip.Is6() {
		family = "ipv6"
	}
	return w.forward + "-" + family
}

func (w way) service() netip.AddrPort { return netip.AddrPortFrom(w.vip, 80) }

// ways are the six of them: direct routing, network address translation and tunnelling in both families.
func ways() []way {
	var out []way
	for i, forward := range []string{"dr", "nat", "tun"} {
		for _, network := range []string{"10.77.0.", network6} {
			addr := func(last int) netip.Addr { return netip.MustParseAddr(fmt.Sprint(network, last)) }
			out = append(out, way{forward, addr(100 + i), [2]netip.AddrPort{netip.AddrPortFrom(addr(11), 80), netip.AddrPortFrom(addr(12), 80)}})
		}
	}
	return out
}

// keeps is the pair with its client under load. Weights are those of rs1 and rs2; 0 leaves the server out.
type keeps struct {
	*lab
	stop  func() probe.LoadReport
	idle  [][2]time.Time // while rs1 was to get no request
	turns [][2]time.Time // in which the VIPs went from one director to the other
}

// config is the file of both directors.
func (k *keeps) config(weights ...int) string {
	var b strings.Builder
	b.WriteString(`node "lb1" { address = "10.77.0.1" }
node "lb2" { address = "10.77.0.2" }
vrrp_instance "web" {
  interface         = "eth0"
  virtual_router_id = 51
  priority          = { lb1 = 150, lb2 = 100 }
  virtual_address "10.77.0.` + backVIP + `/32" {}
  virtual_address "` + network6 + backVIP + `/128" { advertised = false }
`)
	for _, w := range ways() {
		fmt.Fprintf(&b, "  virtual_address \"%v/%d\" { advertised = %v }\n", w.vip, w.vip.BitLen(), w.vip.Is4())
	}
	b.WriteString("}\nipvs {\n  sync {\n    interface = \"eth0\"\n    instance  = \"web\"\n    refresh   = \"1s\"\n  }\n}\n")
	for _, w := range ways() {
		fmt.Fprintf(&b, "virtual_server %q {\n  address   = %q\n  scheduler = \"wrr\"\n  forward   = %q\n", w.name(), w.service(), w.forward)
		for i, weight := range weights {
			if weight > 0 {
				fmt.Fprintf(&b, "  real_server %q { weight = %d }\n", w.servers[i], weight)
			}
		}
		b.WriteString("  check \"tcp\" {\n    interval = \"2s\"\n    timeout  = \"1500ms\"\n    fall     = 3\n  }\n}\n")
	}
	return b.String()
}

// newKeeps builds the network and starts everything but the load.
func newKeeps(t *T) *keeps {
	k := &keeps{lab: newForwarding(t)}
	for _, name := range []string{topology.RS1, topology.RS2} {
		var takes []string // VIPs that it takes packets for
		for _, w := range ways() {
			if w.forward != "nat" {
				takes = append(takes, w.vip.String())
			}
		}
		k.realServer(name, "setup", "--method", "tun", "--vip", strings.Join(takes, ","))
		k.serve(name, "index.html", name, k.Node(name).Addr.String()+":80", "[::]:80", "10.77.0.100:80", "10.77.0.102:80")
	}
	k.lb1, k.lb2 = k.newDirector(topology.LB1, k.config(1)), k.newDirector(topology.LB2, k.config(1))
	k.lb1.start()
	k.lb2.start()
	k.lb1.await("MASTER", 15*time.Second)
	k.lb2.await("BACKUP", 5*time.Second)
	return k
}

// load begins.
func (k *keeps) load() {
	var l probe.Load
	for _, w := range ways() {
		l.To = append(l.To, w.service())
	}
	l.Conns, l.Beat, l.Every, l.Timeout = keptOpen, keptBeat, askedEvery, keptPatience
	var r probe.LoadReport
	began := time.Now()
	end := k.Background(func(ctx context.Context) (err error) {
		r, err = l.Run(ctx, k.Node(topology.Client).NS)
		return err
	})
	k.stop = func() probe.LoadReport {
		k.Figure("load over", time.Since(began))
		end()
		return r
	}
}

// weights waits until each service of a director has its servers with those weights.
func (k *keeps) weights(d *director, want ...int) {
	k.Eventually(fmt.Sprintf("the servers in IPVS of %s have the weights %v", d.node.Name, want), 10*time.Second, func() error {
		table := d.table()
		for _, w := range ways() {
			for i, weight := range want {
				line := regexp.MustCompile(fmt.Sprintf(`-a -t %s -r %s -[gmi] -w %d\b`, regexp.QuoteMeta(w.service().String()), regexp.QuoteMeta(w.servers[i].String()), weight))
				if !line.MatchString(table) {
					return fmt.Errorf("no %v in %s", line, table)
				}
			}
		}
		return nil
	})
}

// change gives both directors another file.
func (k *keeps) change(weights ...int) {
	for _, d := range []*director{k.lb1, k.lb2} {
		d.write(k.config(weights...))
		d.do("reload")
	}
}

// breath is how long the load goes on after each thing that is done, for its consequences to show.
const breath = 1500 * time.Millisecond

// keepsConnections: nothing that an operator does to the pair, and no end of a daemon, costs a client anything.
func keepsConnections(t *T) {
	k := newKeeps(t)
	k.weights(k.lb1, 1)
	k.load()
	time.Sleep(2 * breath)
	k.lb1.do("reload") // of the same file
	time.Sleep(breath)
	k.change(3) // a weight
	k.weights(k.lb1, 3)
	time.Sleep(breath)
	k.change(3, 2) // another server
	k.weights(k.lb1, 3, 2)
	time.Sleep(breath)
	k.drains()
	k.restarts()
	k.weights(k.lb1, 3, 2)
	time.Sleep(2 * breath)
	k.moves()
	k.report(k.stop())
}

// restarts kills the daemon and starts it within the lease. A machine that takes longer for that has moved the VIPs, and they come back when
// the connections are known again.
func (k *keeps) restarts() {
	seq, began := k.lb2.last(), time.Now()
	k.lb1.kill()
	k.lb1.start()
	k.lb1.await("MASTER", 20*time.Second)
	if moved := k.lb2.since(seq, became("MASTER")); len(moved) > 0 {
		k.Figure("the restart outlasted the lease by", time.Since(moved[0].Time))
		k.turns = append(k.turns, [2]time.Time{began, time.Now()})
	}
}

// moves has the master die, the backup take over, and the first one come back and preempt once it knows the connections.
func (k *keeps) moves() {
	k.turn(func() {
		k.lb1.kill()
		k.Figure("takeover after", k.lb2.await("MASTER", down+slack))
	})
	time.Sleep(2 * breath)
	k.lb1.start()
	k.turn(func() { k.Figure("fail-back after", k.lb1.await("MASTER", 20*time.Second)) })
	time.Sleep(2 * breath)
}

// turn is a time in which the VIPs go from one director to the other.
func (k *keeps) turn(f func()) {
	began := time.Now()
	f()
	k.turns = append(k.turns, [2]time.Time{began, time.Now()})
}

// drains takes rs1 out of every service and puts it back. Meanwhile it gets no request, and its connections go on.
func (k *keeps) drains() {
	k.order("drain")
	k.weights(k.lb1, 0, 2)
	began := time.Now()
	time.Sleep(breath)
	k.idle = append(k.idle, [2]time.Time{began, time.Now()})
	k.order("undrain")
	k.weights(k.lb1, 3, 2)
}

// order drains or undrains rs1 in every service: as the command does, and without a process for each.
func (k *keeps) order(what string) {
	for _, w := range ways() {
		k.Must(k.lb1.api.Post("/v1/"+what, control.DrainRequest{Service: w.name(), RealServer: w.servers[0].String()}))
	}
}

// openAtTurn is how many requests may break when the VIPs go to the other director: those that are just being made. The kernel tells
// its peer of a connection with the third packet from the client, and gathers what it tells for up to two seconds.
const openAtTurn = 10

// report says what the load has found, and fails for anything that broke.
func (k *keeps) report(r probe.LoadReport) {
	requests, beats, kept, broken := 0, 0, 0, 0
	for _, w := range ways() {
		s := r[w.service()]
		requests, beats, kept = requests+len(s.Requests), beats+s.Beats, kept+len(s.Kept)
		k.Logf("%s: %d kept with %d answers, %d requests by %v", w.name(), len(s.Kept), s.Beats, len(s.Requests), s.Requests.By())
		if s.Beats < len(s.Kept) || len(s.Requests) < 50 {
			k.Errorf("%s: %d answers on %d connections, and %d requests: that is no load", w.name(), s.Beats, len(s.Kept), len(s.Requests))
		}
		for _, lost := range s.Kept.Lost() {
			k.Errorf("%s: a connection broke: %s", w.name(), lost.Err)
		}
		for _, lost := range s.Requests.Lost() {
			if broken++; !k.turning(lost.Sent) {
				k.Errorf("%s: a request broke, of %6.2fs: %s", w.name(), lost.Sent.Sub(k.Began).Seconds(), lost.Err)
			}
		}
		for _, at := range k.idle {
			if by := s.Requests.Between(at[0], at[1]).By(); by[topology.RS1] > 0 || by[topology.RS2] == 0 {
				k.Errorf("%s: while rs1 was drained, requests were answered by %v", w.name(), by)
			}
		}
	}
	if broken > openAtTurn*len(k.turns) {
		k.Errorf("%d requests broke while the VIPs moved %d times, want %d each at most", broken, len(k.turns), openAtTurn)
	}
	k.Figure("connections kept", kept)
	k.Figure("answers on them", beats)
	k.Figure("requests", requests)
	k.Figure("of them broken in a move", broken)
}

// turning tells whether the VIPs were about to move at that time.
func (k *keeps) turning(at time.Time) bool {
	return slices.ContainsFunc(k.turns, func(t [2]time.Time) bool { return at.After(t[0]) && at.Before(t[1]) })
}
