package node

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/health"
	"github.com/vipward/vipward/core/vrrp"
)

// The least lease of the kernel is a whole second: a confirmation that is told 100 ms late has lost it, and the address with it.
func TestRenewalsOfShortLeasesAreToldAtOnce(t *testing.T) {
	cfg := config()
	cfg.Checkers, cfg.Services, cfg.Instances[0].Tracks = nil, nil, nil
	for k := range 3 {
		i := cfg.Instances[0]
		addr := netip.AddrFrom4([4]byte{10, 77, 0, byte(200 + k)})
		i.Name, i.VRRP.VRID, i.VRRP.Interval = string(rune('a'+k)), uint8(60+k), time.Duration(150+70*k)*time.Millisecond
		i.VRRP.Addresses = []netip.Addr{addr}
		i.Addresses = []VirtualAddress{{Prefix: netip.PrefixFrom(addr, 32), Interface: "eth0"}}
		cfg.Instances = append(cfg.Instances, i)
	}
	cfg.Instances = slices.Delete(cfg.Instances, 0, 1)
	r := start(t, cfg)
	renewed := map[desired.AddressKey]time.Time{}
	for end := r.now.Add(time.Minute); r.now.Before(end); {
		for _, a := range r.desired.Addresses {
			if a.Lease != time.Second {
				t.Fatalf("%s is leased for %s, want 1 s", a.Prefix, a.Lease)
			}
			if age := r.now.Sub(a.Renewed); a.Renewed != renewed[a.AddressKey] && age > 100*time.Millisecond {
				t.Fatalf("%s was confirmed %s ago", a.Prefix, age)
			}
			renewed[a.AddressKey] = a.Renewed
			if age := r.now.Sub(a.Renewed); age > 600*time.Millisecond {
				t.Fatalf("the lease of %s is %s old", a.Prefix, age)
			}
		}
		r.now = r.node.Deadline()
		r.give(Timeout{})
	}
	if len(renewed) != 3 {
		t.Errorf("%d addresses were held, want 3", len(renewed))
	}
}

// A hand-over that nobody answers goes on for longer than the least lease runs.
func TestAHandOverRenewsTheLease(t *testing.T) {
	cfg := config()
	cfg.Checkers, cfg.Services, cfg.Instances[0].Tracks = nil, nil, nil
	cfg.Instances[0].VRRP.Interval = 500 * time.Millisecond
	r := start(t, cfg)
	for r.desired == nil || len(r.desired.Addresses) == 0 {
		r.now = r.node.Deadline()
		r.give(Timeout{})
	}
	r.now = r.now.Add(400 * time.Millisecond)
	r.give(Failover{Instance: "web", ID: 1})
	for end := r.now.Add(5 * time.Second); r.now.Before(end); {
		if a := r.desired.Addresses[0]; r.now.Sub(a.Renewed) > a.Lease {
			t.Fatalf("a lease of %s was confirmed %s ago", a.Lease, r.now.Sub(a.Renewed))
		}
		r.now = r.node.Deadline()
		r.give(Timeout{})
	}
}

// An address that stays for ever says nothing about the last advert: a peer may have taken over long ago.
func TestAnAddressWithoutALeaseIsNotAdopted(t *testing.T) {
	cfg := config()
	cfg.Instances[0].Lease = Lease{}
	r := &rig{t: t, now: time.Unix(1000, 0), node: New(cfg)}
	r.give(links(true))
	r.give(Start{Held: []desired.AddressKey{cfg.Instances[0].Addresses[0].key()}})
	r.observe("checker/local", health.Pass)
	r.wantState(vrrp.Backup)
}
