package e2e

import (
	"context"
	"net/netip"
	"time"

	"github.com/vipward/vipward/tests/lab/probe"
	"github.com/vipward/vipward/tests/lab/router"
	"github.com/vipward/vipward/tests/lab/topology"
)

// instruments shows that the probe can see what the other scenarios assert not to happen: two owners, two masters, an outage.
func instruments(t *T) {
	faults(t)
	l := newNet(t)
	l.echoes()
	first := l.keepalived(topology.LB1, router.Settings{Version: 3})
	second := l.keepalived(topology.LB2, router.Settings{Version: 3})
	first.start(150)
	second.start(100)
	l.moved("lb1 is master", topology.LB1, 15*time.Second)
	time.Sleep(down) // the backup may have been master for a moment at the start

	stop := l.measure(udp())
	t.Must(l.NoVRRP(topology.LB1, topology.LB2))
	time.Sleep(2 * down)
	split := stop().Wire
	if split.TwoOwners() == 0 || split.TwoMasters(vrid, interval) == 0 {
		t.Errorf("adverts were kept from the backup, and the probe saw two owners for %v and two masters for %v",
			split.TwoOwners(), split.TwoMasters(vrid, interval))
	}
	t.Must(l.Heal(topology.LB2))
	l.moved("one owner after it healed", topology.LB1, down)
	time.Sleep(time.Second)

	stop = l.measure(udp())
	time.Sleep(300 * time.Millisecond)
	first.Stop()
	l.moved("the backup has taken over", topology.LB2, down)
	time.Sleep(time.Second)
	report := stop()
	silence, _ := report.UDP.Silence()
	t.Figure("silence over a stop", silence)
	if silence < skewed/2 || silence > skewed+slack {
		t.Errorf("the silence over a stop of keepalived was %v, want about its skew time %v", silence, skewed)
	}
	if len(report.Wire.Gratuitous) == 0 {
		t.Errorf("the probe saw no gratuitous ARP of the new master")
	}
}

// faults shows that each fault at the switch does what it says, and that it heals.
func faults(t *T) {
	l := newNet(t)
	lb1 := l.Node(topology.LB1)
	l.Background(func(ctx context.Context) error {
		return probe.Echo(ctx, lb1.NS, netip.AddrPortFrom(lb1.Addr, probe.Port), lb1.Name)
	})
	for _, f := range []struct {
		name     string
		begin    func() error
		min, max int // percent lost
	}{
		{"none", func() error { return nil }, 0, 0},
		{"cut", func() error { return l.Cut(topology.LB1) }, 100, 100},
		{"deaf", func() error { return l.Deaf(topology.LB1) }, 100, 100},
		{"mute", func() error { return l.Mute(topology.LB1) }, 100, 100},
		{"dark", func() error { return l.Dark(topology.LB1) }, 100, 100},
		{"no frame of lb1 to the client", func() error { return l.NoFrame(topology.LB1, topology.Client) }, 100, 100},
		{"no frame of lb1 to lb2", func() error { return l.NoFrame(topology.LB1, topology.LB2) }, 0, 0},
		{"no adverts of lb1 to the client", func() error { return l.NoVRRP(topology.LB1, topology.Client) }, 0, 0},
		{"half of the frames", func() error { return l.Loss(topology.LB1, 50) }, 20, 80},
	} {
		t.Must(f.begin())
		p, err := probe.New(l.Node(topology.Client), probe.Config{VIP: lb1.Addr, UDP: 2 * time.Millisecond})
		t.Must(err)
		ctx, cancel := context.WithTimeout(context.Background(), 400*time.Millisecond)
		flow := p.Run(ctx).UDP
		cancel()
		if percent := 100 * len(flow.Lost()) / len(flow); percent < f.min || percent > f.max {
			t.Errorf("%s: %d %% of the datagrams were lost, want %d to %d %%", f.name, percent, f.min, f.max)
		}
		for _, node := range []string{topology.LB1, topology.LB2, topology.Client} {
			t.Must(l.Heal(node))
		}
	}
}
