package sim

import (
	"math"
	"math/rand/v2"
	"time"
)

// Generate makes the scenario of a seed: the world, and as many faults as there is time for. Each seed leaves some kinds of faults
// out, so that the others come in combinations which all kinds together would hide.
func Generate(seed uint64, length time.Duration) Scenario {
	g := generator{rand.New(rand.NewPCG(seed, 7))} // reproducible on purpose
	s := Scenario{Seed: seed, Length: span(length), Topology: g.topology()}
	s.Guard = guardOf(seed, s.Topology)
	fastLeases(seed, s.Instances)
	kinds := g.kinds(s.Guard)
	pause := settlingOf(s.Topology)
	for t := 25 * time.Second; t < length-pause; {
		last := t
		for range 1 + g.IntN(2)*g.IntN(4) {
			f := g.fault(s.Topology, kinds[g.IntN(len(kinds))])
			f.At = span(t + g.log(time.Millisecond, 20*time.Second))
			s.Faults = append(s.Faults, f)
			last = max(last, time.Duration(f.At+f.For))
		}
		t = last + pause + time.Duration(g.IntN(int(5*time.Second)))
		if g.IntN(8) == 0 {
			t = last + time.Duration(g.IntN(int(pause))) // not all has come to rest when the next one comes
		}
	}
	return s
}

// settlingOf is a little more than the time in which a world comes to rest.
func settlingOf(t Topology) (d time.Duration) {
	for _, s := range t.Instances {
		d = max(d, 8*time.Duration(s.Interval)+time.Duration(s.Delay))
	}
	return d + 14*time.Second
}

type generator struct{ *rand.Rand }

// log is a duration of which each order of magnitude is as likely as another.
func (g generator) log(least, most time.Duration) time.Duration {
	d := time.Duration(float64(least) * math.Pow(float64(most)/float64(least), g.Float64()))
	return d.Round(100 * time.Microsecond)
}

// one chooses an element; what is named twice is twice as likely.
func one[T any](g generator, list ...T) T { return list[g.IntN(len(list))] }

func (g generator) chance(percent int) bool { return g.IntN(100) < percent }

func (g generator) topology() Topology {
	t := Topology{
		Nodes: one(g, 2, 2, 2, 2, 3, 3, 4, 5), Segments: one(g, 1, 1, 2, 3), Delay: span(one(g, 300*time.Microsecond, 2*time.Millisecond, 8*time.Millisecond)),
		Checkers: one(g, 0, 1, 2),
	}
	for range t.Nodes {
		t.Drift = append(t.Drift, int64(g.IntN(1001)-500))
	}
	fast := g.chance(25) // adverts every 100 ms and faster cost much time, so not everywhere
	for range one(g, 1, 1, 2, 2, 3, 4, 8) {
		t.Instances = append(t.Instances, g.instance(t, len(t.Instances), fast))
	}
	if len(t.Instances) > 1 && g.chance(50) {
		g.group(&t)
	}
	return t
}

func (g generator) instance(t Topology, n int, fast bool) Spec {
	s := Spec{
		Segment: g.IntN(t.Segments), VRID: uint8(10 + n), Version: 3, VIPs: 1 + g.IntN(3), Preempt: g.chance(75), Interval: span(time.Second),
		IPv6: g.chance(30), Unicast: g.chance(25), Unleased: g.chance(10), Signed: g.chance(15), StartMaster: g.chance(10),
	}
	switch {
	case !s.IPv6 && g.chance(35):
		s.Version = 2
	case fast:
		s.Interval = span(one(g, 100*time.Millisecond, 200*time.Millisecond, 500*time.Millisecond, 50*time.Millisecond))
	}
	if s.Preempt && g.chance(25) {
		s.Delay = span(one(g, 3*time.Second, 10*time.Second, 20*time.Second))
	}
	for range t.Nodes {
		s.Priority = append(s.Priority, one(g, 50, 100, 100, 150, 200, 250, 254, 2+g.IntN(253)))
	}
	if g.chance(5) {
		s.Priority[g.IntN(t.Nodes)] = 255
	}
	s.Tracks = g.tracks(t, s)
	return s
}

func (g generator) tracks(t Topology, s Spec) (tracks []TrackSpec) {
	for c := range t.Checkers {
		if g.chance(60) {
			tracks = append(tracks, TrackSpec{Kind: "checker", Number: c, Weight: one(g, 0, -20, -60, 60)})
		}
	}
	if other := g.IntN(t.Segments); other != s.Segment && g.chance(60) {
		tracks = append(tracks, TrackSpec{Kind: "interface", Number: other, Weight: one(g, 0, -60)})
	}
	return tracks
}

// group makes a sync group of some instances. Its members agree about who is better, as core/config demands.
func (g generator) group(t *Topology) {
	n := 2 + g.IntN(min(len(t.Instances)-1, 3))
	first := t.Instances[0]
	for p := range first.Priority {
		first.Priority[p] = min(first.Priority[p], 254)
	}
	var members []int
	for i := range n {
		s := &t.Instances[i]
		s.Priority, s.Preempt, s.Delay, s.Tracks, s.StartMaster = first.Priority, first.Preempt, first.Delay, first.Tracks, first.StartMaster
		members = append(members, i)
	}
	t.Groups = append(t.Groups, members)
}

// kinds are those faults that this seed may have; what is named twice is twice as likely.
func (g generator) kinds(guard *GuardSpec) (kinds []string) {
	for len(kinds) == 0 {
		for _, k := range append(guardKinds(guard), []string{
			Kill, Kill, Crash, Crash, Stall, Suspend, Pause, Pause, Late, Stop, Failover, Failover, Reload, Reload, Reconfigure, Reconfigure, FailChecker,
			FailChecker, Loss, Burst, Slow, Duplicate, Mute, Deaf, Cut, Partition, Partition, Flap, Carrier, Deleted, Removed, Refused, Choke, Wall, Spoof,
		}...) {
			if g.chance(50) {
				kinds = append(kinds, k)
			}
		}
	}
	return kinds
}

func (g generator) fault(t Topology, kind string) Fault {
	f := Fault{
		Kind: kind, Node: g.IntN(t.Nodes), Segment: g.IntN(t.Segments), Instance: g.IntN(len(t.Instances)),
		For: span(g.log(10*time.Millisecond, time.Minute)),
	}
	switch kind {
	case Crash, Stall:
		f.Size = 1 + g.IntN(30)
	case Late:
		f.Size = one(g, 10, 40, 100, 400)
	case Stop:
		f.For = max(f.For, span(10*time.Second)) // systemd would wait longer
	case Failover:
		f.Node, f.For = one(g, -1, -1, -1, f.Node), 0
	case Reload, Removed:
		f.For = 0
	case Reconfigure:
		f.Size = g.IntN(changes)
	case FailChecker:
		if t.Checkers == 0 {
			return g.fault(t, Kill)
		}
		f.Size = g.IntN(t.Checkers)
	case Loss:
		f.Size = one(g, 1, 5, 20, 50)
	case Burst:
		f.Size = one(g, 50, 200, 700)
	case Slow:
		f.Size = one(g, 20, 200, 1000, 3000)
	case Duplicate:
		f.Size = one(g, 10, 100)
	case Cut:
		f.Size = g.IntN(t.Nodes)
	case Partition, Flap:
		f.Size = 1 + g.IntN(1<<t.Nodes-2)
		if g.chance(40) {
			f.Segment = -1
		}
	case Wall:
		f.Size = one(g, -3600, 3600, -2, 8, -315360000, 315360000)
	case Spoof:
		f.Size, f.For = g.IntN(packets), 0
	default:
		g.guardFault(t, &f)
	}
	return f
}
