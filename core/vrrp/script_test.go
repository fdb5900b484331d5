package vrrp

import (
	"cmp"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var rewrite = flag.Bool("rewrite", false, "write the results of the scripts into the scripts")

// TestScripts runs every script of testdata/scripts on a link with a delay of 1 ms. A script is a list of commands, each
// followed by a line "----" and what happened: state changes, notes, announcements, resignations and answers, with the time
// since the start. Regular adverts are left out. The commands:
//
//	router NAME KEY=VALUE...  make a router. KEY is prio, ip, vip, interval, version, vrid, delay, key (ID, or
//	                          ID:TEXT with another secret, several with commas), mode, window or clock (how far the node's clock is
//	                          ahead), and there are nopreempt, startmaster and strict
//	start NAME [adopt]        and stop, fail, recover, handover NAME [stop], priority NAME N, reload NAME KEY=VALUE...
//	run DURATION              let time pass
//	pause NAME DURATION       the process of NAME sleeps from now on; its packets wait
//	cut NAME                  packets from NAME are lost; mend NAME ends it
//	forge FROM prio=N [interval=D]  an advert from an address that is no router
//	record NAME               keep the last advert of NAME; replay NAME sends it again to everybody else
//	show NAME                 state, timer and who is master
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/scripts/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) { runScript(t, f) })
	}
}

func runScript(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	l := &link{now: epoch, nodes: map[string]*scripted{}}
	var got strings.Builder
	for i, block := range strings.Split(strings.TrimSpace(string(text)), "\n\n") {
		command, _, _ := strings.Cut(block, "\n----")
		if i > 0 {
			got.WriteString("\n")
		}
		for line := range strings.Lines(command) {
			if line = strings.TrimSpace(line); !strings.HasPrefix(line, "#") {
				l.command(t, strings.Fields(line))
			}
		}
		got.WriteString(command + "\n----\n" + l.trace.String())
		l.trace.Reset()
	}
	if *rewrite {
		if err := os.WriteFile(file, []byte(got.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got.String() != string(text) {
		t.Errorf("%s differs; go test -rewrite writes what happened:\n%s", file, got.String())
	}
}

// link is an Ethernet segment with routers on it.
type link struct {
	now     time.Time
	nodes   map[string]*scripted
	packets []packet
	trace   strings.Builder
}

type scripted struct {
	*Router
	name    string
	asleep  time.Time // until when its process sleeps
	waiting []Received
	cut     bool
	holds   bool
	clock   time.Duration // how far its clock is ahead
	said    Received      // its last advert
	kept    Received      // by record
}

type packet struct {
	at time.Time
	to *scripted
	in Received
}

func (l *link) command(t *testing.T, words []string) {
	t.Helper()
	verb, name, args := words[0], words[1], words[2:]
	n := l.nodes[name]
	switch verb {
	case "router":
		l.nodes[name] = &scripted{Router: NewRouter(config(args)), name: name, clock: clock(args)}
	case "start":
		l.step(n, Start{Adopt: slices.Contains(args, "adopt")})
	case "stop":
		l.step(n, Stop{})
	case "fail":
		l.step(n, Fail{Reason: strings.Join(args, " ")})
	case "recover":
		l.step(n, Recover{})
	case "handover":
		l.step(n, Handover{Stop: slices.Contains(args, "stop")})
	case "priority":
		l.step(n, Priority{Effective: number(args[0])})
	case "defer":
		l.step(n, Defer{Until: l.now.Add(n.clock + duration(args[0]))})
	case "source":
		l.step(n, Source{Addr: netip.MustParseAddr(args[0])})
	case "reload":
		l.take(n, n.Reconfigure(l.now.Add(n.clock), config(args)), false)
	case "run":
		l.run(l.now.Add(duration(name)))
	case "pause":
		n.asleep = l.now.Add(duration(args[0]))
	case "cut", "mend":
		n.cut = verb == "cut"
	case "forge":
		cfg := config(args)
		for _, n := range l.sorted() {
			l.step(n, heard(cfg, name, cfg.Priority, cfg.Interval))
		}
	case "record":
		n.kept = n.said
	case "replay":
		for _, to := range l.sorted() {
			if to != n {
				l.step(to, n.kept)
			}
		}
	case "show":
		l.show(n)
	default:
		t.Fatalf("unknown command %q", verb)
	}
}

// config reads the words of a command; the rest is the default of a pair.
func config(words []string) Config {
	c := Config{VRID: 51, Priority: 100, Version: 3, Interval: time.Second, Preempt: true, Addresses: vips}
	for _, w := range words {
		key, value, _ := strings.Cut(w, "=")
		switch key {
		case "prio":
			c.Priority = number(value)
		case "ip":
			c.Source = netip.MustParseAddr(value)
		case "interval":
			c.Interval = duration(value)
		case "version":
			c.Version = number(value)
		case "nopreempt":
			c.Preempt = false
		case "delay":
			c.PreemptDelay = duration(value)
		case "strict":
			c.StrictAddresses = true
		case "startmaster":
			c.StartMaster = true
		case "vip":
			c.Addresses = []netip.Addr{netip.MustParseAddr(value)}
		case "vrid":
			c.VRID = number(value)
		case "key":
			c.Auth.Keys = keys(value)
		case "mode":
			c.Auth.Mode = map[string]AuthMode{"enforce": AuthEnforce, "permissive": AuthPermissive, "receive-only": AuthReceiveOnly}[value]
		case "window":
			c.Auth.Window = duration(value)
		case "clock": // of the node
		default:
			panic("unknown word " + w)
		}
	}
	return c
}

// clock reads the word of that name.
func clock(words []string) time.Duration {
	for _, w := range words {
		if value, ok := strings.CutPrefix(w, "clock="); ok {
			return duration(value)
		}
	}
	return 0
}

// keys reads ID or ID:TEXT, several with commas.
func keys(s string) (all []Key) {
	for one := range strings.SplitSeq(s, ",") {
		id, text, _ := strings.Cut(one, ":")
		all = append(all, Key{number(id), Secret(strings.Repeat(cmp.Or(text, "s"), 32))})
	}
	return all
}

func number(s string) uint8 {
	n, err := strconv.ParseUint(s, 10, 8)
	if err != nil {
		panic(err)
	}
	return uint8(n)
}

func duration(s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		panic(err)
	}
	return d
}

func (l *link) sorted() []*scripted {
	return slices.SortedFunc(func(yield func(*scripted) bool) {
		for _, n := range l.nodes {
			if !yield(n) {
				return
			}
		}
	}, func(a, b *scripted) int { return cmp.Compare(a.name, b.name) })
}

// run lets everything happen that is due up to the instant.
func (l *link) run(until time.Time) {
	for {
		at, do := l.next()
		if do == nil || at.After(until) {
			l.now = until
			return
		}
		if at.After(l.now) {
			l.now = at
		}
		do()
	}
}

// next is the first thing that is due: a packet before a timer, and a process that wakes up looks at its timer first.
func (l *link) next() (at time.Time, do func()) {
	if len(l.packets) > 0 {
		p := l.packets[0]
		at, do = p.at, func() { l.packets = l.packets[1:]; l.arrive(p) }
	}
	for _, n := range l.sorted() {
		d := n.Deadline()
		if !d.IsZero() {
			d = d.Add(-n.clock)
		}
		if d.Before(n.asleep) && (!d.IsZero() || len(n.waiting) > 0) {
			d = n.asleep
		}
		if !d.IsZero() && (do == nil || d.Before(at)) {
			at, do = d, func() { l.wake(n) }
		}
	}
	return at, do
}

func (l *link) wake(n *scripted) {
	l.step(n, Timeout{})
	waiting := n.waiting
	n.waiting = nil
	for _, in := range waiting {
		l.step(n, in)
	}
}

func (l *link) arrive(p packet) {
	if l.now.Before(p.to.asleep) {
		p.to.waiting = append(p.to.waiting, p.in)
		return
	}
	l.step(p.to, p.in)
}

func (l *link) step(n *scripted, in Input) {
	_, tick := in.(Timeout)
	l.take(n, n.Step(l.now.Add(n.clock), in), tick)
}

// take sends what the router said and writes down what is worth reading.
func (l *link) take(n *scripted, out Output, tick bool) {
	for _, a := range out.Adverts {
		if !tick || out.Changed || a.Priority == 0 {
			l.print(n, "sends priority %d", a.Priority)
		}
		l.transmit(n, a)
	}
	if out.Changed {
		l.print(n, "%s -> %s (%s)", out.From, out.To, out.Reason)
	}
	if out.Announce {
		l.print(n, "announces")
	}
	for _, note := range out.Notes {
		l.print(n, "notes %s: %s", note.Code, note.Text)
	}
	if h := out.Handover; h != nil {
		l.print(n, "hand-over ok=%v peer=%v took=%s %s", h.OK, h.Peer, h.Took, h.Reason)
	}
	if n.Holds() != n.holds {
		n.holds = n.Holds()
		l.print(n, "holds the addresses: %v", n.holds)
	}
}

func (l *link) transmit(from *scripted, a Advert) {
	if from.cut {
		return
	}
	src := from.Config().Source
	dst := group(src)
	b := a.Append(nil, src, dst)
	from.said = Received{Header: Header{src, dst, 255}, Payload: b}
	for _, n := range l.sorted() {
		if n != from {
			l.packets = append(l.packets, packet{l.now.Add(time.Millisecond), n, Received{Header: Header{src, dst, 255}, Payload: b}})
		}
	}
}

func (l *link) show(n *scripted) {
	timer := "no timer"
	if d := n.Deadline(); !d.IsZero() {
		timer = "wakes in " + d.Sub(l.now.Add(n.clock)).String()
	}
	addr, priority, _ := n.Master()
	yielded := ""
	if n.Yielded() {
		yielded = ", yielded"
	}
	l.print(n, "%s priority=%d%s, %s; master %v priority=%d", n.State(), n.Effective(), yielded, timer, addr, priority)
}

func (l *link) print(n *scripted, format string, args ...any) {
	line := fmt.Sprintf("%9s %s %s", l.now.Sub(epoch), n.name, fmt.Sprintf(format, args...))
	l.trace.WriteString(strings.TrimRight(line, " ") + "\n")
}
