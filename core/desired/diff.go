package desired

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
)

// DiffAddresses compares by interface and prefix what should be held with what is: add is wanted and not held, remove is held
// and not wanted. Both are sorted. What is in have is taken for ours; leases and labels do not count.
func DiffAddresses(want []Address, have []AddressKey) (add []Address, remove []AddressKey) {
	held, wanted := map[AddressKey]bool{}, map[AddressKey]bool{}
	for _, k := range have {
		held[k] = true
	}
	for _, a := range want {
		if !held[a.AddressKey] && !wanted[a.AddressKey] {
			add = append(add, a)
		}
		wanted[a.AddressKey] = true
	}
	for k := range held {
		if !wanted[k] {
			remove = append(remove, k)
		}
	}
	slices.SortFunc(add, func(a, b Address) int { return a.compare(b.AddressKey) })
	slices.SortFunc(remove, AddressKey.compare)
	return add, remove
}

func (k AddressKey) compare(o AddressKey) int {
	return cmp.Or(cmp.Compare(k.Interface, o.Interface), k.Prefix.Compare(o.Prefix))
}

// Action is one kind of change to the table of virtual services.
type Action string

// The actions. Removing a service removes its destinations.
const (
	AddService        Action = "add service"
	UpdateService     Action = "update service"
	RemoveService     Action = "remove service"
	AddDestination    Action = "add destination"
	UpdateDestination Action = "update destination"
	RemoveDestination Action = "remove destination"
)

// ServiceOp is one change to the table of virtual services.
type ServiceOp struct {
	Action Action
	// Service that is changed, or whose destination is; without its destinations, which have their own changes.
	Service Service
	// Destination that is changed; zero for a change to a service.
	Destination Destination
}

// String is the change in words.
func (o ServiceOp) String() string {
	s := o.Service.ServiceKey.String()
	switch o.Action {
	case AddDestination, UpdateDestination, RemoveDestination:
		return fmt.Sprintf("%s %s of %s", o.Action, o.Destination.Address, s)
	case AddService, UpdateService, RemoveService:
	}
	return fmt.Sprintf("%s %s", o.Action, s)
}

// DiffServices gives the fewest changes that turn have into want. Additions and updates come first and removals last, so that
// a service never lacks a destination that it has before and after. A service that is in have, not in want and not in owned
// is somebody else's and stays. The changes are sorted within both halves.
func DiffServices(want, have []Service, owned map[ServiceKey]bool) []ServiceOp {
	held, wanted := map[ServiceKey]Service{}, map[ServiceKey]bool{}
	for _, s := range have {
		held[s.ServiceKey] = s
	}
	var remove []ServiceOp
	add := make([]ServiceOp, 0, missing(want, held)) // thousands of them would be copied again and again
	for _, w := range sorted(want, Service.compare) {
		wanted[w.ServiceKey] = true
		h, ok := held[w.ServiceKey]
		switch {
		case !ok:
			add = append(add, ServiceOp{Action: AddService, Service: w.alone()})
		case !w.same(h):
			add = append(add, ServiceOp{Action: UpdateService, Service: w.alone()})
		}
		add, remove = diffDestinations(w, h.Destinations, add, remove)
	}
	for _, h := range sorted(have, Service.compare) {
		if !wanted[h.ServiceKey] && owned[h.ServiceKey] {
			remove = append(remove, ServiceOp{Action: RemoveService, Service: h.alone()})
		}
	}
	return append(add, remove...)
}

// missing is how many changes the additions are, at least.
func missing(want []Service, held map[ServiceKey]Service) (n int) {
	for _, w := range want {
		if h, ok := held[w.ServiceKey]; !ok || len(h.Destinations) < len(w.Destinations) {
			n += 1 + len(w.Destinations) - len(h.Destinations)
		}
	}
	return n
}

// diffDestinations adds what differs in the destinations of one service.
func diffDestinations(want Service, have []Destination, add, remove []ServiceOp) ([]ServiceOp, []ServiceOp) {
	service := want.alone()
	held := make(map[netip.AddrPort]Destination, len(have))
	for _, h := range have {
		held[h.Address] = h
	}
	wanted := make(map[netip.AddrPort]bool, len(want.Destinations))
	for _, w := range sorted(want.Destinations, Destination.compare) {
		wanted[w.Address] = true
		switch h, ok := held[w.Address]; {
		case !ok:
			add = append(add, ServiceOp{AddDestination, service, w})
		case h != w:
			add = append(add, ServiceOp{UpdateDestination, service, w})
		}
	}
	for _, h := range sorted(have, Destination.compare) {
		if !wanted[h.Address] {
			remove = append(remove, ServiceOp{RemoveDestination, service, h})
		}
	}
	return add, remove
}

func sorted[T any](list []T, compare func(a, b T) int) []T {
	return slices.SortedFunc(slices.Values(list), compare)
}

func (s Service) compare(o Service) int { return s.Compare(o.ServiceKey) }

func (d Destination) compare(o Destination) int { return d.Address.Compare(o.Address) }

// alone is the service without its destinations.
func (s Service) alone() Service {
	s.Destinations = nil
	return s
}

// same compares the services without their destinations. The granularity means nothing without persistence.
func (s Service) same(o Service) bool {
	if s.Persistence == 0 && o.Persistence == 0 {
		s.Granularity, o.Granularity = 0, 0
	}
	return s.Scheduler == o.Scheduler && s.Flags == o.Flags && s.Persistence == o.Persistence &&
		s.Granularity == o.Granularity && s.Engine == o.Engine
}

// equal compares two lists, of which most are the very same one.
func equal[T comparable](a, b []T) bool {
	same := len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
	return same || slices.Equal(a, b)
}

// SameServices tells whether two wishes for IPVS are the same in everything, order included.
func SameServices(a, b []Service) bool {
	return slices.EqualFunc(a, b, func(x, y Service) bool {
		return x.ServiceKey == y.ServiceKey && x.same(y) && equal(x.Destinations, y.Destinations) && x.Drain == y.Drain && equal(x.Gone, y.Gone)
	})
}

// SameIPVS tells whether two wishes are the same for IPVS.
func (s *State) SameIPVS(o *State) bool {
	return SameServices(s.Services, o.Services) && s.Timeouts == o.Timeouts && s.Sync == o.Sync && slices.Equal(s.Markings, o.Markings) &&
		slices.Equal(s.Probes, o.Probes) && slices.Equal(s.Sysctls, o.Sysctls)
}
