package node

import (
	"net/netip"

	"github.com/vipward/vipward/core/desired"
)

// Probe is a way to one real server through the VIP: what this node sends with the mark reaches that server as packets of
// clients do. It is there whether the server is up or not, on the master and on its backup.
type Probe struct {
	// Mark of the packets, of which no virtual server and no other probe makes use.
	Mark uint32
	// Source is the address of this node that the checks come from.
	Source netip.Addr
	// IPv6 is the family of the VIP.
	IPv6 bool
	// Destination is the server, as its virtual server has it. Its weight and its thresholds mean nothing here.
	Destination desired.Destination
}

// wish adds what the kernel should hold for the probe.
func (p Probe) wish(s *desired.State) {
	d := p.Destination
	d.Weight, d.UpperThreshold, d.LowerThreshold = 1, 0, 0
	s.Services = append(s.Services, desired.Service{
		ServiceKey: desired.Marked(p.Mark, p.IPv6), Scheduler: "rr", Destinations: []desired.Destination{d},
	})
	s.Probes = append(s.Probes, desired.Probe{Server: d.Address.Addr(), Source: p.Source})
}
