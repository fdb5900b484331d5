package config

import (
	"net/netip"
	"slices"

	"github.com/hashicorp/hcl/v2"

	"github.com/vipward/vipward/core/desired"
)

// checkServices reports services that exclude one another, and those that no packet can reach.
func (l *loading) checkServices(vips map[netip.Addr]bool) {
	seen := map[desired.ServiceKey]*service{}
	for _, s := range l.services {
		if !s.Service.Service.Address.IsValid() {
			continue
		}
		for _, key := range s.Keys() {
			if first, ok := seen[key]; ok {
				what := key.Address.String() + " over " + string(key.Protocol)
				if key.Mark > 0 {
					what = key.String()
				}
				l.fault(s.at, "%s is declared twice", what).because(
					"virtual_server %q at %s has it already. Join the real servers of both in one block.", first.Name, place(first.at))
				break
			}
			seen[key] = s
		}
		if a, ok := s.unheld(vips); ok && len(l.instances) > 0 {
			l.warn(s.at, "no vrrp_instance holds %v", a).because(
				"Packets for virtual_server %q come only where the address is. Add virtual_address \"%v/%d\" {} to an instance.", s.Name, a, a.BitLen())
		}
	}
	l.checkTrackedServices()
}

// unheld is the first address of a service that is no VIP; false for none.
func (s *service) unheld(vips map[netip.Addr]bool) (netip.Addr, bool) {
	for _, a := range s.addresses() {
		if !vips[a] {
			return a, true
		}
	}
	return netip.Addr{}, false
}

// addresses are those that packets for the service are sent to, as far as they are known here.
func (s *service) addresses() []netip.Addr {
	if len(s.spans) == 0 {
		if key := s.Service.Service.ServiceKey; key.Mark == 0 {
			return []netip.Addr{key.Address.Addr()}
		}
		return nil
	}
	var out []netip.Addr
	for _, g := range s.spans {
		for a := g.first; a.Compare(g.last) <= 0 && len(out) < maxKeys; a = a.Next() {
			out = append(out, a)
		}
	}
	return out
}

// isOn tells whether packets for the service are sent to the address.
func (s *service) isOn(a netip.Addr) bool {
	if len(s.spans) == 0 {
		return slices.Contains(s.addresses(), a)
	}
	return slices.ContainsFunc(s.spans, func(g addressSpan) bool { return g.first.Compare(a) <= 0 && a.Compare(g.last) <= 0 })
}

// trackedService is the name of a virtual server that an instance tracks, with its place.
type trackedService struct {
	name string
	at   hcl.Range
}

// checkTrackedServices reports tracks of virtual servers that there are not.
func (l *loading) checkTrackedServices() {
	var known []string
	for _, s := range l.services {
		known = append(known, s.Name)
	}
	for _, t := range l.trackedServices {
		if !slices.Contains(known, t.name) {
			l.fault(t.at, "no virtual_server %q", t.name).because("%s", thereAre("virtual servers", t.name, known))
		}
	}
}
