package node

import (
	"slices"
	"testing"
	"time"

	"github.com/vipward/vipward/core/vrrp"
)

// fast is the configuration of one instance with a fast lease.
func fast(interval time.Duration) Config {
	cfg := config()
	cfg.Checkers, cfg.Services, cfg.Instances[0].Tracks = nil, nil, nil
	cfg.Instances[0].VRRP.Interval = interval
	cfg.Instances[0].Lease = Lease{Auto: true, Fast: true}
	return cfg
}

// run lets the time pass, and calls f before each step.
func (r *rig) run(d time.Duration, f func()) {
	for end := r.now.Add(d); r.now.Before(end) && !r.stopped; {
		r.now = r.node.Deadline()
		f()
		r.give(Timeout{})
	}
}

func TestAFastLeaseEndsBeforeThePeerAsksForTheLastTimes(t *testing.T) {
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	for _, tt := range []struct {
		interval time.Duration
		peer     uint8
		want     time.Duration
	}{
		{ms(100), 100, ms(360 - 60 - 20)}, // Master_Down_Interval is 360.9 ms
		{ms(100), 254, ms(300 - 60 - 20)},
		{ms(20), 100, ms(72 - 12 - 20)},
		{ms(1000), 100, ms(3609 - 60 - 20)},
		{ms(10), 254, ms(30 - 6 - 20)},
	} {
		if got := FastLease(3, tt.peer, tt.interval); got != tt.want {
			t.Errorf("FastLease of adverts every %v and a peer of priority %d = %v, want %v", tt.interval, tt.peer, got, tt.want)
		}
	}
}

func TestEachAdvertRenewsTheFastLease(t *testing.T) {
	r := start(t, fast(100*time.Millisecond))
	if r.leases == nil || len(r.leases) > 0 {
		t.Fatalf("before it is master it wishes for %v, want for none to be left of a former run", r.leases)
	}
	r.wait(time.Second)
	r.give(Timeout{})
	r.wantState(vrrp.Master)
	before := r.leased
	r.run(10*time.Second, func() {
		if len(r.leases) != 1 || r.leases[0].Address != vip.Addr() || r.leases[0].For != 280*time.Millisecond {
			t.Fatalf("the leases are %v, want %v for 280ms", r.leases, vip.Addr())
		}
		if age := r.now.Sub(r.leases[0].Renewed); age > 100*time.Millisecond {
			t.Fatalf("the lease was confirmed %v ago", age)
		}
	})
	if told := r.leased - before; told < 98 || told > 102 {
		t.Errorf("the kernel was told %d times in 100 adverts", told)
	}
	if lease := r.desired.Addresses[0].Lease; lease != time.Second {
		t.Errorf("the address is leased for %v, want 1s as the second line", lease)
	}
	r.give(Stop{})
	r.run(10*time.Second, func() {})
	if !r.stopped || len(r.leases) != 1 || len(r.desired.Addresses) > 0 {
		t.Errorf("stopped %v, its last leases are %v, want that of the VIP until it is gone", r.stopped, r.leases)
	}
}

func TestAdvertsThatCannotBeSentDoNotRenewTheFastLease(t *testing.T) {
	r := start(t, fast(100*time.Millisecond))
	r.wait(time.Second)
	r.give(Timeout{})
	r.wantState(vrrp.Master)
	last := r.leases[0].Renewed
	for r.node.instances[0].isMaster() {
		r.now = r.node.Deadline()
		sent := r.adverts
		r.give(Timeout{})
		if r.adverts > sent {
			r.give(Unsent{Interface: "eth0", Reason: "no buffer space available"})
		}
		if len(r.leases) > 0 && r.leases[0].Renewed.After(last) {
			t.Fatalf("%v after the last advert the lease was renewed", r.leases[0].Renewed.Sub(last))
		}
	}
}

// A group that spans interfaces lets go as a whole, at once, where one of them does not send.
func TestAGroupLetsGoWithAMemberThatCannotSpeak(t *testing.T) {
	cfg := fast(100 * time.Millisecond)
	second := cfg.Instances[0]
	second.Name, second.Interface, second.VRRP.VRID = "db", "eth1", 99
	cfg.Instances = append(cfg.Instances, second)
	cfg.Groups = []Group{{Name: "all", Instances: []string{"web", "db"}}}
	r := &rig{t: t, now: time.Unix(1000, 0), node: New(cfg)}
	up := links(true)
	up["eth1"] = Link{Index: 3, Up: true, Addresses: up["eth0"].Addresses}
	r.give(up)
	r.give(Start{})
	r.wait(time.Second)
	r.give(Timeout{})
	masters := func() (n int) {
		for _, i := range r.node.instances {
			if i.isMaster() {
				n++
			}
		}
		return n
	}
	if masters() != 2 {
		t.Fatalf("%d are MASTER, want both", masters())
	}
	for end := r.now.Add(time.Second); r.now.Before(end) && masters() > 0; {
		r.now = r.node.Deadline()
		r.give(Timeout{})
		if r.give(Unsent{Interface: "eth1", Reason: "no buffer space available"}); masters() == 1 {
			t.Fatal("one of the group is MASTER without the other")
		}
	}
	if masters() > 0 {
		t.Error("the group is MASTER, and one of it cannot speak")
	}
}

// A hand-over that nobody answers goes on for longer than a fast lease runs, and says nothing meanwhile.
func TestAHandOverRenewsTheFastLease(t *testing.T) {
	r := start(t, fast(100*time.Millisecond))
	r.wait(time.Second)
	r.give(Timeout{})
	r.give(Failover{Instance: "web", ID: 1})
	r.run(5*time.Second, func() {
		if age := r.now.Sub(r.leases[0].Renewed); age > r.leases[0].For-50*time.Millisecond {
			t.Fatalf("the lease was renewed %v ago", age)
		}
	})
	r.wantState(vrrp.Master)
}

func TestAFastLeaseThatHasEndedIsOverWhileItsVIPIsRemoved(t *testing.T) {
	r := start(t, fast(100*time.Millisecond))
	r.wait(time.Second)
	r.give(Timeout{})
	last := r.leases[0].Renewed
	r.now = r.now.Add(2 * time.Second) // it was stopped
	r.give(Timeout{})
	if len(r.desired.Addresses) > 0 || len(r.leases) != 1 || r.leases[0].Renewed != last {
		t.Fatalf("when it lets go the leases are %v, want that of %v as it was, until the VIP is gone", r.leases, last)
	}
	for end := r.now.Add(shutAfter); r.now.Before(end); r.wait(100 * time.Millisecond) {
		if r.peerAdvert(200); len(r.leases) != 1 {
			t.Fatalf("%v before that the leases are %v", end.Sub(r.now), r.leases)
		}
	}
	if r.give(Timeout{}); len(r.leases) > 0 {
		t.Errorf("at last the leases are %v, want none", r.leases)
	}
}

func TestAStalledHandOverDoesNotRenewAFastLeaseThatHasEnded(t *testing.T) {
	r := start(t, fast(100*time.Millisecond))
	r.wait(time.Second)
	r.give(Timeout{})
	r.give(Failover{Instance: "web", ID: 1})
	r.wait(30 * time.Millisecond) // the resignation is sent twice
	last := r.leases[0].Renewed
	r.now = r.now.Add(400 * time.Millisecond)
	r.give(Timeout{})
	r.wantState(vrrp.Master)
	if got := r.leases[0].Renewed; got != last {
		t.Errorf("400ms later the lease was renewed at %v, want it to be over", got)
	}
	if due := r.node.Deadline(); !due.After(r.now) {
		t.Errorf("the next step is due %v ago", r.now.Sub(due))
	}
}

func TestInstancesByTheHundredRenewTheirFastLeasesTogether(t *testing.T) {
	cfg := fast(100 * time.Millisecond)
	for k := range 50 {
		i := cfg.Instances[0]
		i.Name, i.VRRP.VRID = string(rune('A'+k)), uint8(100+k)
		cfg.Instances = append(cfg.Instances, i)
	}
	r := start(t, cfg)
	for r.now.Before(time.Unix(1010, 0)) {
		r.now = r.node.Deadline().Add(time.Millisecond) // the instances drift apart
		r.give(Timeout{})
	}
	before := r.leased
	r.run(time.Second, func() {
		for _, l := range r.leases {
			if age := r.now.Sub(l.Renewed); age > 125*time.Millisecond {
				t.Fatalf("the lease was confirmed %v ago", age)
			}
		}
	})
	if told := r.leased - before; told > 110 {
		t.Errorf("the kernel was told %d times within a second, want once each 10 ms at most", told)
	}
}

func TestNobodyNeedsAFastLeaseOnALoneNode(t *testing.T) {
	cfg := fast(100 * time.Millisecond)
	cfg.Lone = true
	r := start(t, cfg)
	r.wait(time.Second)
	r.give(Timeout{})
	r.wantState(vrrp.Master)
	if len(r.leases) > 0 {
		t.Errorf("it has fast leases: %v", r.leases)
	}
}

func TestALeaseBelowASecondIsFastBesideOneOfTheAddress(t *testing.T) {
	cfg := fast(100 * time.Millisecond)
	cfg.Instances[0].Lease = Lease{For: 250 * time.Millisecond}
	r := start(t, cfg)
	r.wait(time.Second)
	r.give(Timeout{})
	if len(r.leases) != 1 || r.leases[0].For != 250*time.Millisecond || r.desired.Addresses[0].Lease != time.Second {
		t.Errorf("the leases are %v, and the address has %v", r.leases, r.desired.Addresses[0].Lease)
	}
	cfg.Instances = slices.Clone(cfg.Instances)
	cfg.Instances[0].Lease = Lease{Auto: true}
	if out := r.node.Configure(r.now, cfg); out.FastLeases == nil || len(out.FastLeases) > 0 {
		t.Errorf("after a reload without it there are %v, want none", out.FastLeases)
	}
}
