package node

import (
	"net/netip"
	"testing"
	"time"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/vrrp"
)

// restarted is a node that was killed and started again, and finds its VIP still held by the kernel.
func restarted(t *testing.T, cfg Config, leased ...netip.Addr) *rig {
	r := &rig{t: t, now: time.Unix(1000, 0), node: New(cfg)}
	r.give(links(true))
	r.give(Start{Held: []desired.AddressKey{{Interface: "eth0", Prefix: vip}}, Leased: leased})
	return r
}

// hurried is a pair whose takeover comes before the kernel's least lease ends.
func hurried() Config {
	cfg := fast(100 * time.Millisecond)
	cfg.Instances[0].Lease = Lease{Auto: true}
	cfg.Guard.ProbeVIP = true
	return cfg
}

func (r *rig) wantKept(want int) {
	r.t.Helper()
	if len(r.desired.Kept) != want || len(r.desired.Addresses) > 0 && want > 0 {
		r.t.Fatalf("it keeps %v, and holds %v, want %d kept", r.desired.Kept, r.desired.Addresses, want)
	}
}

// What is here already needs no answer of the kernel before the first advert.
func TestWhoAdoptsHisVIPsAdvertisesAtOnce(t *testing.T) {
	cfg := fast(time.Second)
	cfg.Instances[0].VMAC = "eth0"
	r := restarted(t, cfg)
	r.wantState(vrrp.Master)
	if r.adverts != 1 {
		t.Errorf("%d adverts were sent with the adoption, want 1", r.adverts)
	}
}

func TestWhatAPeerMayHaveTakenOverIsAskedForBeforeItIsAdopted(t *testing.T) {
	r := restarted(t, hurried())
	r.wantState(vrrp.Init)
	r.wantKept(1)
	if got, want := r.node.Snapshot(r.now).Instances[0].Reason, "asks who has the VIPs that a former run has left"; got != want {
		t.Errorf("Reason = %q, want %q", got, want)
	}
	r.wait(109 * time.Millisecond)
	r.wantState(vrrp.Init)
	if r.adverts > 0 {
		t.Errorf("it speaks before it knows")
	}
	r.wait(time.Millisecond)
	r.give(Timeout{})
	r.wantState(vrrp.Master)
	r.wantKept(0)
	if len(r.desired.Addresses) != 1 {
		t.Errorf("it holds %v, want the VIP", r.desired.Addresses)
	}
}

// How long a lease still runs does not tell when it was last renewed: while no peer was near it was long.
func TestALeaseIsAsOldAsTheKernelSays(t *testing.T) {
	for _, c := range []struct {
		name     string
		interval time.Duration
		age      time.Duration
		want     vrrp.State
		asked    time.Duration // before the start
	}{
		{"no peer has waited for so long", time.Second, 3 * time.Second, vrrp.Master, 0},
		{"a peer may have taken over", time.Second, 4 * time.Second, vrrp.Init, 0},
		{"a long lease that began to run just now", time.Second, 10 * time.Millisecond, vrrp.Master, 0},
		{"a long lease near its end", time.Second, 58 * time.Second, vrrp.Init, 0},
		{"fast adverts", 300 * time.Millisecond, 500 * time.Millisecond, vrrp.Master, 0},
		{"fast adverts, too late", 300 * time.Millisecond, 800 * time.Millisecond, vrrp.Init, 0},
		{"a process that was stopped after it had asked the kernel", time.Second, 10 * time.Millisecond, vrrp.Init, 5 * time.Second},
	} {
		cfg := hurried()
		cfg.Instances[0].VRRP.Interval = c.interval
		r := &rig{t: t, now: time.Unix(1000, 0), node: New(cfg)}
		key := desired.AddressKey{Interface: "eth0", Prefix: vip}
		r.give(links(true))
		r.give(Start{Held: []desired.AddressKey{key}, Ages: map[desired.AddressKey]time.Duration{key: c.age}, At: r.now.Add(-c.asked)})
		if got := r.node.instances[0].router.State(); got != c.want {
			t.Errorf("%s: it is %s, want %s", c.name, got, c.want)
		}
	}
}

func TestWhatAnotherHasTakenOverIsNotAdopted(t *testing.T) {
	for name, evidence := range map[string]Input{
		"it answers":        Seen{Interface: "eth0", Address: vip.Addr(), MAC: [6]byte{2, 0, 0, 0, 0, 2}},
		"it advertises":     received("10.77.0.2", 100, 100*time.Millisecond),
		"nobody can say so": Unasked{Interface: "eth0", Address: vip.Addr(), Reason: "it has no ARP"},
	} {
		r := restarted(t, hurried())
		r.wait(10 * time.Millisecond)
		r.give(evidence)
		if r.node.instances[0].router.State() == vrrp.Master || len(r.desired.Kept)+len(r.desired.Addresses) > 0 {
			t.Errorf("%s: it is %s, keeps %v and holds %v", name, r.node.instances[0].router.State(), r.desired.Kept, r.desired.Addresses)
		}
		r.wait(5 * time.Second)
		if name == "nobody can say so" {
			r.wantState(vrrp.Master)
		}
	}
}

func TestAFastLeaseThatRunsIsAdoptedAtOnce(t *testing.T) {
	cfg := hurried()
	cfg.Instances[0].Lease.Fast = true
	r := restarted(t, cfg, vip.Addr())
	r.wantState(vrrp.Master)
	r = restarted(t, cfg)
	r.wantState(vrrp.Init)
	r.wantKept(1)
	if len(r.leases) != 1 || r.leases[0].Renewed.Add(r.leases[0].For).After(r.now) {
		t.Errorf("the fast leases are %v, want that the VIP is let through no longer", r.leases)
	}
}

func TestWhatCannotBeAskedForIsNotAdopted(t *testing.T) {
	cfg := hurried()
	cfg.Guard.ProbeVIP = false
	r := restarted(t, cfg)
	r.wantState(vrrp.Backup)
	r.wantKept(0)
	cfg.Lone = true
	r = restarted(t, cfg)
	r.wantState(vrrp.Master)
}

func TestAFaultOrAnEndLetsGoOfWhatIsKept(t *testing.T) {
	r := restarted(t, hurried())
	r.give(links(false))
	r.wantKept(0)
	r = restarted(t, hurried())
	r.give(Stop{})
	r.wantKept(0)
	if !r.stopped {
		t.Errorf("it has not stopped")
	}
}

// received is an advert of another router for the VIP.
func received(source string, priority uint8, interval time.Duration) Received {
	src, dst := netip.MustParseAddr(source), vrrp.Group(netip.IPv4Unspecified())[0]
	a := vrrp.Advert{Version: 3, VRID: 51, Priority: priority, Interval: interval, Addresses: []netip.Addr{vip.Addr()}}
	return Received{Interface: "eth0", Header: vrrp.Header{Source: src, Destination: dst, TTL: 255}, Payload: a.Append(nil, src, dst)}
}

// A sync group adopts all that its members have left, or nothing.
func TestASyncGroupAdoptsAsAWhole(t *testing.T) {
	cfg := hurried()
	two := cfg.Instances[0]
	other := netip.MustParsePrefix("10.77.0.101/32")
	two.Name, two.VRRP.VRID = "mail", 52
	two.VRRP.Addresses, two.Addresses = []netip.Addr{other.Addr()}, []VirtualAddress{{Prefix: other, Interface: "eth0"}}
	cfg.Instances = append(cfg.Instances, two)
	cfg.Groups = []Group{{Name: "both", Instances: []string{"web", "mail"}}}
	for name, want := range map[string]vrrp.State{"nobody answers": vrrp.Master, "one VIP is answered for": vrrp.Backup} {
		r := &rig{t: t, now: time.Unix(1000, 0), node: New(cfg)}
		r.give(links(true))
		r.give(Start{Held: []desired.AddressKey{{Interface: "eth0", Prefix: vip}, {Interface: "eth0", Prefix: other}}})
		r.wantKept(2)
		if want == vrrp.Backup {
			r.give(Seen{Interface: "eth0", Address: other.Addr(), MAC: [6]byte{2, 0, 0, 0, 0, 2}})
			r.wantKept(0)
		}
		r.wait(111 * time.Millisecond)
		for _, i := range r.node.instances {
			if got := i.router.State(); (got == vrrp.Master) != (want == vrrp.Master) {
				t.Errorf("%s: %s is %s", name, i.cfg.Name, got)
			}
		}
	}
}
