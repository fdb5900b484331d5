//go:build lab

package kernel

import (
	"context"
	"errors"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudflare/ipvs"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/node"
	"github.com/vipward/vipward/tests/lab/netns"
)

// lvs is the IPVS of a namespace of its own. These tests need root, and a kernel that has IPVS.
type lvs struct {
	*testing.T
	ns      *netns.NS
	table   *backend
	reports chan node.ServicesApplied
	closed  bool
}

// close gives the namespace up. It may be called twice.
func (k *lvs) close() {
	if k.closed {
		return
	}
	k.closed = true
	k.table.close()
	if err := k.ns.Close(); err != nil {
		k.Error(err)
	}
}

func newLVS(t *testing.T) *lvs {
	t.Helper()
	ns, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	k := &lvs{T: t, ns: ns, table: &backend{dial: dialIPVS}, reports: make(chan node.ServicesApplied, 100)}
	t.Cleanup(k.close)
	err = ns.Do(func() error { // without any address the kernel takes no real server
		lo, err := netlink.LinkByName("lo")
		return errors.Join(err, netlink.LinkSetUp(lo))
	})
	if err != nil {
		t.Fatal(err)
	}
	k.list() // opens the table
	return k
}

// list reads the table past the applier.
func (k *lvs) list() (all []desired.Service) {
	k.Helper()
	err := k.ns.Do(func() (err error) { all, _, err = k.table.list(); return err })
	if err != nil {
		k.Fatal(err)
	}
	return all
}

// change makes a change past the applier.
func (k *lvs) change(op desired.ServiceOp) {
	k.Helper()
	if errs := k.table.apply([]desired.ServiceOp{op}); errs[0] != nil {
		k.Fatal(errs[0])
	}
}

func (k *lvs) run(owned string) (s *Services, stop func()) {
	s = NewServices(ServiceOptions{Logger: quiet(), Owned: owned, Report: func(a node.ServicesApplied) { k.reports <- a }})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- k.ns.Do(func() error { return s.Run(ctx) }) }()
	return s, func() {
		cancel()
		if err := <-done; err != nil {
			k.Error(err)
		}
	}
}

func (k *lvs) wish(s *Services, want ...desired.Service) {
	k.Helper()
	k.wishAlso(s, desired.Timeouts{}, want...)
}

func (k *lvs) wishAlso(s *Services, timeouts desired.Timeouts, want ...desired.Service) {
	k.Helper()
	s.Set(&desired.State{Services: want, Timeouts: timeouts})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := s.Wait(ctx); err != nil {
		k.Fatal(err)
	}
	select {
	case r := <-k.reports:
		if r.Error != "" || len(r.Failed) > 0 || len(r.Repaired) > 0 { // the namespaces forward nothing, which is told where it is needed
			k.Errorf("reported %+v", r)
		}
	default:
	}
}

// holds compares the table with exactly these services.
func (k *lvs) holds(want ...desired.Service) {
	k.Helper()
	have := k.list()
	every := map[desired.ServiceKey]bool{}
	for _, s := range have {
		every[s.ServiceKey] = true
	}
	if diff := desired.DiffServices(want, have, every); len(diff) > 0 {
		k.Errorf("the table holds %+v\nfrom which the wish differs by %v", have, diff)
	}
}

// all uses every field of a service and a destination.
func all() []desired.Service {
	web := service("10.0.0.1:80", "10.0.0.11:80", "10.0.0.12:80")
	web.Persistence, web.Granularity = 50*time.Second, 24
	web.Destinations[0].Weight = 0
	web.Destinations[1].UpperThreshold, web.Destinations[1].LowerThreshold = 100, 50
	nat := service("10.0.0.1:443", "10.0.0.11:8443")
	nat.Scheduler = "wlc"
	nat.Destinations[0].Forward = desired.NAT
	dns := service("10.0.0.1:53", "10.0.0.13:53")
	dns.Protocol, dns.Scheduler = desired.UDP, "sh"
	dns.Destinations[0].Forward = desired.TUN
	six := service("[2001:db8::1]:80", "[2001:db8::11]:80")
	six.Persistence, six.Granularity = time.Minute, 64
	return []desired.Service{web, nat, dns, six}
}

func TestIPVSHoldsWhatIsWished(t *testing.T) {
	k := newLVS(t)
	s, stop := k.run("")
	defer stop()
	want := all()
	k.wish(s, want...)
	k.holds(want...)
	if c, ok := s.Stats()[want[0].ServiceKey]; ok && len(c.Servers) != 2 {
		t.Errorf("Stats counts %v, want both real servers", c)
	}
	want[0].Scheduler, want[0].Persistence = "rr", 0
	want[0].Destinations[0].Weight = 5
	want[0].Destinations = slices.Delete(want[0].Destinations, 1, 2)
	want[2].Destinations[0].Forward = desired.DR
	want = want[:3]
	k.wish(s, want...)
	k.holds(want...)
	k.wish(s)
	k.holds()
}

func TestIPVSTakesOverAndRemovesByTheRecord(t *testing.T) {
	k := newLVS(t)
	owned := filepath.Join(t.TempDir(), "services.json")
	want := all()
	s, stop := k.run(owned)
	k.wish(s, want...)
	stop()
	others := service("10.0.0.99:80", "10.0.0.11:80")
	for _, op := range desired.DiffServices([]desired.Service{others}, nil, nil) {
		k.change(op)
	}
	s, stop = k.run(owned)
	defer stop()
	k.wish(s, want[:2]...)
	k.holds(want[0], want[1], others)
}

func TestIPVSIsRepaired(t *testing.T) {
	k := newLVS(t)
	s, stop := k.run("")
	defer stop()
	want := all()
	k.wish(s, want...)
	web := desired.Service{ServiceKey: want[0].ServiceKey}
	for _, op := range []desired.ServiceOp{
		{Action: desired.RemoveService, Service: desired.Service{ServiceKey: want[1].ServiceKey}},
		{Action: desired.RemoveDestination, Service: web, Destination: want[0].Destinations[0]},
	} {
		k.change(op)
	}
	var repaired []string
	for len(repaired) < 3 {
		select {
		case r := <-k.reports:
			repaired = append(repaired, r.Repaired...)
		case <-time.After(time.Minute):
			t.Fatalf("repaired within a minute: %q", repaired)
		}
	}
	k.holds(want...)
}

func TestIPVSUndoesFlagsThatNoWishHas(t *testing.T) {
	k := newLVS(t)
	want := service("10.0.0.1:53")
	want.Protocol = desired.UDP
	w, err := writeService(want)
	if err != nil {
		t.Fatal(err)
	}
	w.Flags |= ipvs.ServiceOnePacket | ipvs.ServiceSchedulerOpt3
	if err := k.table.call(func(t ipvsTable) error { return t.CreateService(w) }); err != nil {
		t.Fatal(err)
	}
	s, stop := k.run("")
	defer stop()
	k.wish(s, want)
	k.holds(want)
}

func TestIPVSSaysWhyAServiceIsRefused(t *testing.T) {
	k := newLVS(t)
	s, stop := k.run("")
	defer stop()
	odd := service("10.0.0.1:80")
	odd.Scheduler = "nosuch"
	s.Set(&desired.State{Services: []desired.Service{odd, service("10.0.0.2:80")}})
	select {
	case r := <-k.reports:
		const want = "add service tcp 10.0.0.1:80: the kernel has no scheduler nosuch: run modprobe ip_vs_nosuch"
		if got := r.Failed[odd.ServiceKey]; !strings.HasPrefix(got, want) || len(r.Failed) != 1 {
			t.Errorf("reported %q, want %s…", r.Failed, want)
		}
	case <-time.After(time.Minute):
		t.Fatal("nothing was reported")
	}
	k.holds(service("10.0.0.2:80"))
}

func TestIPVSSaysOfEachChangeInABatchWhatCameOfIt(t *testing.T) {
	k := newLVS(t)
	s := service("10.0.0.1:80")
	k.change(desired.ServiceOp{Action: desired.AddService, Service: s})
	const last = serverBatch - 1
	var ops []desired.ServiceOp
	for n := range serverBatch {
		d := desired.Destination{Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(n >> 8), byte(n)}), 80), Forward: desired.DR, Weight: n}
		ops = append(ops, desired.ServiceOp{Action: desired.AddDestination, Service: s, Destination: d})
	}
	odd := map[int]error{3: unix.EEXIST, 7: unix.ENOENT, last: unix.EEXIST}
	ops[3].Destination, ops[last].Destination = ops[2].Destination, ops[2].Destination
	ops[7].Action = desired.UpdateDestination
	for range 2 { // an answer that was left would be taken for one of the next batch
		for n, err := range k.table.apply(ops) {
			if !errors.Is(err, odd[n]) || (err == nil) != (odd[n] == nil) {
				t.Errorf("change %d: %v, want %v", n, err, odd[n])
			}
		}
		if have := k.list(); len(have) != 1 || len(have[0].Destinations) != serverBatch-3 {
			t.Fatalf("the table holds %v", have)
		}
		for n := range ops { // now each of them is refused
			ops[n].Action, odd[n] = desired.AddDestination, unix.EEXIST
		}
		ops[7].Action, odd[7] = desired.UpdateDestination, unix.ENOENT
	}
}
