package desired

import (
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Few different values, so that what is wanted and what is held meet.
var (
	keys = rapid.Custom(func(t *rapid.T) AddressKey {
		return AddressKey{
			Interface: rapid.SampledFrom([]string{"eth0", "eth1"}).Draw(t, "interface"),
			Prefix:    rapid.SampledFrom([]netip.Prefix{prefix("10.0.0.1/32"), prefix("10.0.0.1/24"), prefix("fd00::1/128")}).Draw(t, "prefix"),
		}
	})
	destinations = rapid.Custom(func(t *rapid.T) Destination {
		return Destination{
			Address: rapid.SampledFrom([]netip.AddrPort{endpoint(21), endpoint(22), endpoint(23)}).Draw(t, "destination"),
			Forward: rapid.SampledFrom([]Forward{DR, NAT}).Draw(t, "forward"),
			Weight:  rapid.IntRange(0, 2).Draw(t, "weight"),
			Tunnel:  rapid.SampledFrom([]Tunnel{{}, {Type: GUE, Port: 6080}, {Type: GRE, Checksum: FullChecksum}}).Draw(t, "tunnel"),
		}
	})
	services = rapid.Custom(func(t *rapid.T) Service {
		return Service{
			ServiceKey:   drawKey(t),
			Scheduler:    rapid.SampledFrom([]string{"rr", "wlc"}).Draw(t, "scheduler"),
			Persistence:  time.Duration(rapid.IntRange(0, 1).Draw(t, "persistence")) * time.Second,
			Granularity:  rapid.SampledFrom([]int{24, 32}).Draw(t, "granularity"),
			Flags:        rapid.SampledFrom([]ServiceFlags{0, OnePacket, Fallback | SourcePort}).Draw(t, "flags"),
			Engine:       rapid.SampledFrom([]string{"", "sip"}).Draw(t, "engine"),
			Destinations: rapid.SliceOfDistinct(destinations, func(d Destination) netip.AddrPort { return d.Address }).Draw(t, "destinations"),
		}
	})
	tables     = rapid.SliceOfDistinct(services, func(s Service) ServiceKey { return s.ServiceKey })
	ownerships = rapid.MapOf(rapid.Map(services, func(s Service) ServiceKey { return s.ServiceKey }), rapid.Just(true))
)

// drawKey is a service by address or by mark.
func drawKey(t *rapid.T) ServiceKey {
	if rapid.IntRange(0, 3).Draw(t, "by mark") == 0 {
		return Marked(1, rapid.Bool().Draw(t, "over IPv6"))
	}
	return ServiceKey{
		Address:  endpoint(rapid.ByteRange(1, 3).Draw(t, "address")),
		Protocol: rapid.SampledFrom([]Protocol{TCP, UDP}).Draw(t, "protocol"),
	}
}

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func endpoint(host byte) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, host}), 80)
}

func TestAddressesThatAreAppliedAreAsWanted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfDistinct(rapid.Map(keys, func(k AddressKey) Address { return Address{AddressKey: k} }),
			func(a Address) AddressKey { return a.AddressKey }).Draw(t, "want")
		have := rapid.SliceOfDistinct(keys, rapid.ID[AddressKey]).Draw(t, "have")
		add, remove := DiffAddresses(want, have)
		after := map[AddressKey]bool{}
		for _, k := range have {
			after[k] = true
		}
		for _, a := range add {
			if after[a.AddressKey] {
				t.Fatalf("%v is added and was held", a.AddressKey)
			}
			after[a.AddressKey] = true
		}
		for _, k := range remove {
			if !after[k] {
				t.Fatalf("%v is removed and was not held", k)
			}
			delete(after, k)
		}
		if len(after) != len(want) {
			t.Fatalf("%v is held afterwards, want %v", after, want)
		}
		if add, remove := DiffAddresses(want, slices.Collect(maps.Keys(after))); len(add)+len(remove) > 0 {
			t.Fatalf("a second diff adds %v and removes %v, want nothing", add, remove)
		}
		if !slices.IsSortedFunc(add, func(a, b Address) int { return a.compare(b.AddressKey) }) || !slices.IsSortedFunc(remove, AddressKey.compare) {
			t.Fatalf("not sorted: %v, %v", add, remove)
		}
	})
}

func TestServicesThatAreAppliedAreAsWanted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want, have, owned := tables.Draw(t, "want"), tables.Draw(t, "have"), ownerships.Draw(t, "owned")
		expected := table{}
		for _, s := range have {
			if !owned[s.ServiceKey] {
				expected.put(s)
			}
		}
		for _, s := range want {
			expected.put(s)
		}
		got := table{}
		for _, s := range have {
			got.put(s)
		}
		ops := DiffServices(want, have, owned)
		for _, o := range ops {
			if err := got.apply(o); err != nil {
				t.Fatalf("%v: %v", o, err)
			}
		}
		if !reflect.DeepEqual(got, expected) {
			t.Fatalf("the table holds %v, want %v", got, expected)
		}
		if again := DiffServices(want, got.list(), owned); len(again) > 0 {
			t.Fatalf("a second diff gives %v, want nothing", again)
		}
		checkOrder(t, ops)
	})
}

// checkOrder demands that nothing is added or updated after something was removed.
func checkOrder(t *rapid.T, ops []ServiceOp) {
	removing := false
	for _, o := range ops {
		removes := o.Action == RemoveService || o.Action == RemoveDestination
		if removing && !removes {
			t.Fatalf("%v comes after a removal: %v", o, ops)
		}
		removing = removes
	}
}

// table is IPVS as the kernel keeps it: it refuses to add what is there and to change what is not.
type table map[ServiceKey]entry

type entry struct {
	service      Service
	destinations map[netip.AddrPort]Destination
}

func (t table) put(s Service) {
	e := entry{normal(s), map[netip.AddrPort]Destination{}}
	for _, d := range s.Destinations {
		e.destinations[d.Address] = d
	}
	t[s.ServiceKey] = e
}

// normal leaves out what has no meaning.
func normal(s Service) Service {
	if s.Persistence == 0 {
		s.Granularity = 0
	}
	return s.alone()
}

func (t table) list() (all []Service) {
	for _, e := range t {
		s := e.service
		s.Destinations = slices.Collect(maps.Values(e.destinations))
		all = append(all, s)
	}
	return all
}

func (t table) apply(o ServiceOp) error {
	e, there := t[o.Service.ServiceKey]
	d, known := e.destinations[o.Destination.Address]
	if there == (o.Action == AddService) || o.Service.Destinations != nil {
		return fmt.Errorf("service is there: %v", there)
	}
	switch o.Action {
	case AddService:
		t.put(o.Service)
		return nil
	case UpdateService:
		if e.service.same(o.Service) {
			return fmt.Errorf("nothing to update")
		}
		t[o.Service.ServiceKey] = entry{normal(o.Service), e.destinations}
		return nil
	case RemoveService:
		delete(t, o.Service.ServiceKey)
		return nil
	case AddDestination, UpdateDestination, RemoveDestination:
	}
	if known == (o.Action == AddDestination) || o.Action == UpdateDestination && d == o.Destination {
		return fmt.Errorf("destination is %v", d)
	}
	if o.Action == RemoveDestination {
		delete(e.destinations, o.Destination.Address)
	} else {
		e.destinations[o.Destination.Address] = o.Destination
	}
	return nil
}

func TestServiceOpsReadAsAPlan(t *testing.T) {
	web := Service{ServiceKey: ServiceKey{Address: endpoint(100), Protocol: TCP}, Scheduler: "wrr"}
	dns := Service{ServiceKey: ServiceKey{Address: endpoint(53), Protocol: UDP}}
	old := Service{ServiceKey: ServiceKey{Address: endpoint(7), Protocol: TCP}}
	foreign := Service{ServiceKey: ServiceKey{Address: endpoint(8), Protocol: TCP}, Destinations: []Destination{{Address: endpoint(30)}}}
	was, is := web, web
	was.Scheduler = "rr"
	was.Destinations = []Destination{{Address: endpoint(23)}, {Address: endpoint(21), Weight: 1}}
	is.Destinations = []Destination{{Address: endpoint(22)}, {Address: endpoint(21), Weight: 2}}
	dns.Destinations = []Destination{{Address: endpoint(24)}}

	var got []string
	for _, o := range DiffServices([]Service{is, dns}, []Service{foreign, old, was}, map[ServiceKey]bool{old.ServiceKey: true}) {
		got = append(got, o.String())
	}
	want := []string{
		"add service udp 10.0.0.53:80",
		"add destination 10.0.0.24:80 of udp 10.0.0.53:80",
		"update service tcp 10.0.0.100:80",
		"update destination 10.0.0.21:80 of tcp 10.0.0.100:80",
		"add destination 10.0.0.22:80 of tcp 10.0.0.100:80",
		"remove destination 10.0.0.23:80 of tcp 10.0.0.100:80",
		"remove service tcp 10.0.0.7:80",
	}
	if !slices.Equal(got, want) {
		t.Errorf("DiffServices = %q, want %q", got, want)
	}
}
