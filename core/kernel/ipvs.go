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
	"github.com/vipward/vipward/core/node"
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
	// Engines are the persistence engines of the services that have one.
	Engines() (map[desired.ServiceKey]string, error)
	// PutService makes or changes a service that has a persistence engine.
	PutService(create bool, s ipvs.Service, engine string) error
	// Syncs are the daemons that synchronise connections; StartSync and StopSync start and stop one.
	Syncs() ([]desired.Sync, error)
	StartSync(desired.Sync) error
	StopSync(desired.Sync) error
	Config() (ipvs.Config, error)
	SetConfig(ipvs.Config) error
	io.Closer
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

// list reads the whole table.
func (b *backend) list() ([]desired.Service, node.Traffic, error) {
	var found []ipvs.ServiceExtended
	var engines map[desired.ServiceKey]string
	err := b.call(func(t ipvsTable) (err error) {
		if found, err = t.Services(); errors.Is(err, fs.ErrNotExist) {
			return nil // the table is empty
		}
		if err == nil {
			engines, err = t.Engines()
		}
		return err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("list the services: %w", err)
	}
	var services []desired.Service
	table := node.Traffic{}
	for _, f := range found {
		s, ok := readService(f.Service)
		if !ok {
			continue
		}
		s.Engine = engines[s.ServiceKey]
		row := node.ServiceTraffic{Counts: readCounts(f.Stats64), Servers: map[netip.AddrPort]node.Counts{}}
		var dests []ipvs.DestinationExtended
		err := b.call(func(t ipvsTable) (err error) {
			dests, err = t.Destinations(f.Service)
			return ignore(err, fs.ErrNotExist) // it has none, or has gone since
		})
		if err != nil {
			return nil, nil, fmt.Errorf("list the real servers of %v: %w", s.ServiceKey, err)
		}
		for _, d := range dests {
			c := readCounts(d.Stats64)
			c.Active, c.Inactive, c.Persistent = d.ActiveConnections, d.InactiveConnections, d.PersistentConnections
			s.Destinations = append(s.Destinations, readDestination(d.Destination))
			row.Servers[netip.AddrPortFrom(d.Address, d.Port)] = c
			row.Active, row.Inactive, row.Persistent = row.Active+c.Active, row.Inactive+c.Inactive, row.Persistent+c.Persistent
		}
		table[s.ServiceKey] = row
		services = append(services, s)
	}
	return services, table, nil
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
	engine := op.Service.Engine
	err = b.call(func(t ipvsTable) error {
		switch op.Action {
		case desired.AddService:
			if engine != "" {
				return t.PutService(true, s, engine)
			}
			return t.CreateService(s)
		case desired.UpdateService:
			if engine != "" {
				return t.PutService(false, s, engine)
			}
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
		if engine != "" {
			return fmt.Errorf("%v: the kernel has no scheduler %s or no persistence engine %s: run modprobe -a ip_vs_%[2]s ip_vs_pe_%[3]s (%[4]w)",
				op, s.Scheduler, engine, err)
		}
		return fmt.Errorf("%v: the kernel has no scheduler %s: run modprobe ip_vs_%[2]s (%[3]w)", op, s.Scheduler, err)
	case errors.Is(err, unix.EINVAL) && op.Destination.Address.IsValid() && op.Destination.Address.Addr().Is6() != op.Service.Address.Addr().Is6():
		return fmt.Errorf("%v: IPVS takes no real server of another family than the service's while it synchronises connections: remove one of the two (%w)", op, err)
	}
	return fmt.Errorf("%v: %w", op, err)
}

// readService is false for a service that no wish can name.
func readService(s ipvs.Service) (desired.Service, bool) {
	key, ok := readKey(s)
	d := desired.Service{ServiceKey: key, Scheduler: s.Scheduler}
	if s.Flags&ipvs.ServicePersistent != 0 {
		d.Persistence = time.Duration(s.Timeout) * time.Second
		d.Granularity = granularity(s.Netmask)
	}
	d.Flags = desired.ServiceFlags(s.Flags &^ (ipvs.ServicePersistent | ipvs.ServiceHashed))
	return d, ok
}

func readKey(s ipvs.Service) (desired.ServiceKey, bool) {
	if s.FWMark != 0 {
		return desired.Marked(s.FWMark, s.Family == ipvs.INET6), true
	}
	protocol, ok := map[ipvs.Protocol]desired.Protocol{ipvs.TCP: desired.TCP, ipvs.UDP: desired.UDP, ipvs.SCTP: desired.SCTP}[s.Protocol]
	return desired.ServiceKey{Address: netip.AddrPortFrom(s.Address, s.Port), Protocol: protocol}, ok
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
	if !ok && s.Mark == 0 {
		return ipvs.Service{}, fmt.Errorf("unknown protocol %q", s.Protocol)
	}
	a := s.Address.Addr()
	w := ipvs.Service{
		Address: a, Port: s.Address.Port(), FWMark: s.Mark, Family: family(a), Protocol: protocol, Scheduler: s.Scheduler,
		Netmask: netmask.MaskFrom(a.BitLen(), a.BitLen()), Flags: ipvs.Flags(s.Flags),
	}
	if s.Persistence > 0 {
		w.Flags |= ipvs.ServicePersistent
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
	out := desired.Destination{
		Address: netip.AddrPortFrom(d.Address, d.Port), Weight: int(d.Weight),
		UpperThreshold: d.UpperThreshold, LowerThreshold: d.LowerThreshold,
		Forward: map[ipvs.ForwardType]desired.Forward{
			ipvs.DirectRoute: desired.DR, ipvs.Masquerade: desired.NAT, ipvs.Tunnel: desired.TUN,
		}[d.FwdMethod], // empty for a method that no wish has
	}
	if out.Forward == desired.TUN {
		out.Tunnel = desired.Tunnel{
			Type: map[ipvs.TunnelType]string{ipvs.GUE: desired.GUE, ipvs.GRE: desired.GRE}[d.TunnelType], Port: d.TunnelPort,
			Checksum: map[ipvs.TunnelFlags]string{
				ipvs.TunnelEncapChecksum: desired.FullChecksum, ipvs.TunnelEncapRemoteChecksum: desired.RemoteChecksum,
			}[d.TunnelFlags],
		}
	}
	return out
}

func writeDestination(d desired.Destination) ipvs.Destination {
	return ipvs.Destination{
		Address: d.Address.Addr(), Port: d.Address.Port(), Family: family(d.Address.Addr()),
		FwdMethod: map[desired.Forward]ipvs.ForwardType{
			desired.DR: ipvs.DirectRoute, desired.NAT: ipvs.Masquerade, desired.TUN: ipvs.Tunnel,
		}[d.Forward],
		Weight: uint32(d.Weight), UpperThreshold: d.UpperThreshold, LowerThreshold: d.LowerThreshold,
		TunnelType: map[string]ipvs.TunnelType{desired.GUE: ipvs.GUE, desired.GRE: ipvs.GRE}[d.Tunnel.Type], TunnelPort: d.Tunnel.Port,
		TunnelFlags: map[string]ipvs.TunnelFlags{
			desired.FullChecksum: ipvs.TunnelEncapChecksum, desired.RemoteChecksum: ipvs.TunnelEncapRemoteChecksum,
		}[d.Tunnel.Checksum],
	}
}
