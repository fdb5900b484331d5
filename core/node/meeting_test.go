package node

import (
	"testing"
	"time"
)

// partedPair is two masters, each of which has lost the other: the VIP cannot be asked for.
func partedPair(t *testing.T) *pair {
	p := healthyPair(t, func(_ int, c *Config) { c.Guard.ProbeVIP = false })
	p.deaf, p.silent = [2]bool{true, true}, true
	p.run(5 * time.Second)
	p.want("MASTER MASTER")
	return p
}

func TestTwoMastersThatMeetAgainAreOneAtOnce(t *testing.T) {
	p := partedPair(t)
	announced := p.nodes[0].instances[0].epoch
	p.silent = false // and adverts still do not pass
	p.run(missedBeat + 10*time.Millisecond)
	p.want("MASTER BACKUP")
	p.wantEvent(1, "instance.state", "lb1 is MASTER as well")
	if p.held[1] {
		t.Errorf("lb2 still holds the VIP")
	}
	if now := p.nodes[0].instances[0].epoch; now == announced {
		t.Errorf("lb1 has not announced the VIP again")
	}
}

// Where heartbeats never ceased, a second master is first taken for a hand-over that is about to end.
func TestARivalThatWasHeardAllTheTimeHasAnInterval(t *testing.T) {
	p := partedPair(t)
	for _, n := range p.nodes {
		n.members[0].heard = p.now
	}
	p.silent = false
	p.run(800 * time.Millisecond)
	p.want("MASTER MASTER")
	p.run(500 * time.Millisecond)
	p.want("MASTER BACKUP")
}

func TestAMasterThatMissesItsPeerSpeaksMoreOften(t *testing.T) {
	p := healthyPair(t, nil)
	p.dead[1] = true
	for _, c := range []struct {
		name        string
		wait        time.Duration
		least, most int
	}{
		{"it is missed", time.Second, 40, 50},
		{"it is away for good", 12 * time.Second, 10, 11},
	} {
		p.run(c.wait)
		p.beats = 0
		p.run(time.Second)
		if p.beats < c.least || p.beats > c.most {
			t.Errorf("%s: %d heartbeats in a second, want %d to %d", c.name, p.beats, c.least, c.most)
		}
	}
	p = healthyPair(t, nil)
	p.dead[0] = true
	p.run(time.Second)
	p.beats = 0
	if p.run(time.Second); p.beats > 25 {
		t.Errorf("a backup sends %d heartbeats in a second while it misses its master", p.beats)
	}
}

func TestAReturnIsNoSecondMaster(t *testing.T) {
	for _, silent := range []bool{false, true} {
		p := healthyPair(t, nil)
		p.dead[0] = true
		p.run(10 * time.Second)
		p.want("- MASTER")
		p.dead[0], p.silent = false, silent
		p.run(20 * time.Second)
		p.want("MASTER BACKUP")
		for k := range p.nodes {
			for _, e := range p.events[k] {
				if e.Code == "instance.dual_master" {
					t.Errorf("lb%d, heartbeats lost: %v: %s", k+1, silent, e.Reason)
				}
			}
		}
	}
}

func TestAMachineThatRefusesHeartbeatsIsToldWhileAMasterIsHeard(t *testing.T) {
	p := healthyPair(t, nil)
	refusals := func(k int) (n int) {
		for _, e := range p.events[k] {
			if e.Code == "peer.heartbeat_refused" {
				n++
			}
		}
		return n
	}
	refuse := func() {
		for k := range p.nodes {
			p.step(k, BeatRefused{Peer: p.nodes[k].members[0].cfg.Name, Path: "address", Port: 5000})
		}
		p.run(time.Second)
	}
	refuse()
	if n := refusals(0) + refusals(1); n != 0 {
		t.Errorf("%d events while heartbeats come", n)
	}
	p.silent = true
	p.run(2 * time.Second)
	refuse()
	refuse()
	p.wantEvent(1, "peer.heartbeat_refused", "UDP port 5000")
	if refusals(0) != 0 || refusals(1) != 1 {
		t.Errorf("lb1 told %d times and lb2 %d times, want the backup alone, once", refusals(0), refusals(1))
	}
}

// A lease that is long because nobody is near ends when a member is: it may have to take over before the next advert.
func TestALongLeaseEndsWithTheFirstHeartbeat(t *testing.T) {
	p := newPair(t, nil)
	p.run(10 * time.Second)
	p.dead[1] = true
	p.run(15 * time.Second)
	i := p.nodes[0].instances[0]
	if got := i.lease(false); got != longLease {
		t.Fatalf("alone it leases for %v, want %v", got, longLease)
	}
	p.dead[1] = false
	p.step(1, Timeout{})
	if got := i.lease(false); got >= longLease || !i.wished.Equal(i.renewed) {
		t.Errorf("beside a member that is back it leases for %v", got)
	}
}

// The next master's adverts do not come, but its heartbeats do: the VIPs are not held until the end of the hand-over.
func TestAHandoverIsOverWhenTheNextMasterSaysSo(t *testing.T) {
	p := healthyPair(t, nil)
	p.deaf[0] = true
	p.step(0, Failover{Instance: "web", ID: 1})
	p.run(1200 * time.Millisecond)
	p.want("BACKUP MASTER")
	p.wantEvent(0, "instance.state", "handed over to 10.0.0.2")
	if p.held[0] || !p.held[1] {
		t.Errorf("held: %v, want by lb2 alone", p.held)
	}
}
