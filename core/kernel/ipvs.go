package kernel

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/bits"
	"net/netip"
	"time"

	"github.com/cloudflare/ipvs"
	"github.com/cloudflare/ipvs/netmask"
	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/core/desired"
)

// ipvsTimeout bounds each call to IPVS.
const ipvsTimeout = 5 * time.Second

var (
	errNoIPVS  = errors.New("the kernel has no IPVS: run modprobe ip_vs")
	errTimeout = errors.New("IPVS did not answer within " + ipvsTimeout.String())
)

// ipvsTable is the kernel's table of virtual services: the part of [ipvs.Client] that is needed here.
type ipvsTable interface {
	Services() ([]ipvs.ServiceExtended, error)
	CreateService(ipvs.Service) error
	UpdateService(ipvs.Service) error
	RemoveService(ipvs.Service) error
	Destinations(ipvs.Service) ([]ipvs.DestinationExtended, error)
	CreateDestination(ipvs.Service, ipvs.Destination) error
	UpdateDestination(ipvs.Service, ipvs.Destination) error
	RemoveDestination(ipvs.Service, ipvs.Destination) error
	io.Closer
}

// dialIPVS opens the table of the network namespace of the calling thread.
func dialIPVS() (ipvsTable, error) {
	c, err := ipvs.New()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errNoIPVS
	case err != nil:
		return nil, fmt.Errorf("open IPVS: %w", err)
	}
	t, ok := c.(ipvsTable)
	if !ok {
		return nil, errors.New("open IPVS: its client cannot be closed")
	}
	return t, nil
}

// backend translates between the table and desired values. It opens the table when it is first needed and after each time
// that it did not answer. It belongs to one goroutine.
type backend struct {
	dial  func() (ipvsTable, error)
	table ipvsTable // nil while closed
}

// call runs one call with a time limit: at its end the table is closed, which ends the call.
func (b *backend) call(f func(ipvsTable) error) error {
	if b.table == nil {
		t, err := b.dial()
		if err != nil {
			return err
		}
		b.table = t
	}
	t := b.table
	timer := time.AfterFunc(ipvsTimeout, func() { _ = t.Close() })
	err := f(t)
	if !timer.Stop() {
		b.table = nil
		return errors.Join(errTimeout, err)
	}
	return err
}

func (b *backend) close() {
	if b.table != nil {
		_ = b.table.Close()
		b.table = nil
	}
}

// list reads the whole table. The services by firewall mark, which no wish can name, are left out.
func (b *backend) list() ([]desired.Service, counters, error) {
	var found []ipvs.ServiceExtended
	err := b.call(func(t ipvsTable) (err error) {
		found, err = t.Services()
		return ignore(err, fs.ErrNotExist) // the table is empty
	})
	if err != nil {
		return nil, nil, fmt.Errorf("list the services: %w", err)
	}
	var services []desired.Service
	counts := counters{}
	for _, f := range found {
		s, ok := readService(f.Service)
		if !ok {
			continue
		}
		var dests []ipvs.DestinationExtended
		err := b.call(func(t ipvsTable) (err error) {
			dests, err = t.Destinations(f.Service)
			return ignore(err, fs.ErrNotExist) // it has none, or has gone since
		})
		if err != nil {
			return nil, nil, fmt.Errorf("list the real servers of %s %v: %w", s.Protocol, s.Address, err)
		}
		counts[s.ServiceKey] = map[netip.AddrPort]Counts{}
		for _, d := range dests {
			s.Destinations = append(s.Destinations, readDestination(d.Destination))
			counts[s.ServiceKey][netip.AddrPortFrom(d.Address, d.Port)] = Counts{Active: d.ActiveConnections, Inactive: d.InactiveConnections}
		}
		services = append(services, s)
	}
	return services, counts, nil
}

func ignore(err, harmless error) error {
	if errors.Is(err, harmless) {
		return nil
	}
	return err
}

// apply makes one change.
func (b *backend) apply(op desired.ServiceOp) error {
	s, err := writeService(op.Service)
	if err != nil {
		return fmt.Errorf("%v: %w", op, err)
	}
	d := writeDestination(op.Destination)
	err = b.call(func(t ipvsTable) error {
		switch op.Action {
		case desired.AddService:
			return t.CreateService(s)
		case desired.UpdateService:
			return t.UpdateService(s)
		case desired.RemoveService:
			return ignore(t.RemoveService(s), unix.ESRCH) // it has gone by itself
		case desired.AddDestination:
			return t.CreateDestination(s, d)
		case desired.UpdateDestination:
			return t.UpdateDestination(s, d)
		case desired.RemoveDestination:
			return ignore(t.RemoveDestination(s, d), unix.ENOENT)
		}
		return fmt.Errorf("unknown change %q", op.Action)
	})
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist) && (op.Action == desired.AddService || op.Action == desired.UpdateService):
		return fmt.Errorf("%v: the kernel has no scheduler %s: run modprobe ip_vs_%[2]s (%[3]w)", op, s.Scheduler, err)
	}
	return fmt.Errorf("%v: %w", op, err)
}

// readService is false for a service that no wish can name.
func readService(s ipvs.Service) (desired.Service, bool) {
	if s.FWMark != 0 {
		return desired.Service{}, false
	}
	protocol, ok := map[ipvs.Protocol]desired.Protocol{ipvs.TCP: desired.TCP, ipvs.UDP: desired.UDP, ipvs.SCTP: desired.SCTP}[s.Protocol]
	d := desired.Service{
		ServiceKey: desired.ServiceKey{Address: netip.AddrPortFrom(s.Address, s.Port), Protocol: protocol},
		Scheduler:  s.Scheduler,
	}
	if s.Flags&ipvs.ServicePersistent != 0 {
		d.Persistence = time.Duration(s.Timeout) * time.Second
		d.Granularity = granularity(s.Netmask)
	}
	if s.Flags&^(ipvs.ServicePersistent|ipvs.ServiceHashed) != 0 {
		d.Scheduler += " with flags" // which no wish has, so that it is seen to differ
	}
	return d, ok
}

// granularity is the length of the netmask.
func granularity(m netmask.Mask) int {
	if m.Is6() {
		return m.Bits()
	}
	n := 0
	for _, b := range m.AsSlice() {
		n += bits.OnesCount8(b)
	}
	return n
}

// writeService gives every attribute: an update replaces all of them, and the kernel refuses a new service without a netmask.
func writeService(s desired.Service) (ipvs.Service, error) {
	protocol, ok := map[desired.Protocol]ipvs.Protocol{desired.TCP: ipvs.TCP, desired.UDP: ipvs.UDP, desired.SCTP: ipvs.SCTP}[s.Protocol]
	if !ok {
		return ipvs.Service{}, fmt.Errorf("unknown protocol %q", s.Protocol)
	}
	a := s.Address.Addr()
	w := ipvs.Service{
		Address: a, Port: s.Address.Port(), Family: family(a), Protocol: protocol, Scheduler: s.Scheduler,
		Netmask: netmask.MaskFrom(a.BitLen(), a.BitLen()),
	}
	if s.Persistence > 0 {
		w.Flags = ipvs.ServicePersistent
		w.Timeout = uint32(s.Persistence / time.Second)
		w.Netmask = netmask.MaskFrom(s.Granularity, a.BitLen())
	}
	return w, nil
}

func family(a netip.Addr) ipvs.AddressFamily {
	if a.Is4() {
		return ipvs.INET
	}
	return ipvs.INET6
}

func readDestination(d ipvs.Destination) desired.Destination {
	forward := map[ipvs.ForwardType]desired.Forward{
		ipvs.DirectRoute: desired.DR, ipvs.Masquerade: desired.NAT, ipvs.Tunnel: desired.TUN,
	}[d.FwdMethod] // empty for a method that no wish has
	if forward == desired.TUN && d.TunnelType != ipvs.IPIP {
		forward = ""
	}
	return desired.Destination{
		Address: netip.AddrPortFrom(d.Address, d.Port), Forward: forward, Weight: int(d.Weight),
		UpperThreshold: d.UpperThreshold, LowerThreshold: d.LowerThreshold,
	}
}

func writeDestination(d desired.Destination) ipvs.Destination {
	forward := map[desired.Forward]ipvs.ForwardType{
		desired.DR: ipvs.DirectRoute, desired.NAT: ipvs.Masquerade, desired.TUN: ipvs.Tunnel,
	}[d.Forward]
	return ipvs.Destination{
		Address: d.Address.Addr(), Port: d.Address.Port(), Family: family(d.Address.Addr()), FwdMethod: forward,
		Weight: uint32(d.Weight), UpperThreshold: d.UpperThreshold, LowerThreshold: d.LowerThreshold,
	}
}
