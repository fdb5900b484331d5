package kernel

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/bits"
	"net/netip"
	"slices"
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
	// ChangeServers makes up to serverBatch changes, and returns what came of each, or why nothing is known of them.
	ChangeServers([]serverChange) ([]error, error)
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

// apply makes changes that go to the kernel together, and returns what came of each: a single one to a service, or up to serverBatch to
// real servers.
func (b *backend) apply(ops []desired.ServiceOp) []error {
	switch {
	case len(ops) == 0:
		return nil
	case ops[0].Destination.Address.IsValid():
		return b.applyServers(ops)
	}
	return []error{b.applyService(ops[0])}
}

// applyService makes one change to a service itself.
func (b *backend) applyService(op desired.ServiceOp) error {
	s, err := writeService(op.Service)
	if err != nil {
		return fmt.Errorf("%v: %w", op, err)
	}
	engine := op.Service.Engine
	err = b.call(func(t ipvsTable) error {
		switch {
		case op.Action == desired.RemoveService:
			return ignore(t.RemoveService(s), unix.ESRCH) // it has gone by itself
		case engine != "":
			return t.PutService(op.Action == desired.AddService, s, engine)
		case op.Action == desired.AddService:
			return t.CreateService(s)
		}
		return t.UpdateService(s)
	})
	switch {
	case err == nil:
		return nil
	case !errors.Is(err, fs.ErrNotExist) || op.Action == desired.RemoveService:
		return fmt.Errorf("%v: %w", op, err)
	case engine != "":
		return fmt.Errorf("%v: the kernel has no scheduler %s or no persistence engine %s: run modprobe -a ip_vs_%[2]s ip_vs_pe_%[3]s (%[4]w)",
			op, s.Scheduler, engine, err)
	}
	return fmt.Errorf("%v: the kernel has no scheduler %s: run modprobe ip_vs_%[2]s (%[3]w)", op, s.Scheduler, err)
}

// applyServers makes up to serverBatch changes to real servers, and returns what came of each.
func (b *backend) applyServers(ops []desired.ServiceOp) []error {
	var changes []serverChange
	var places []int // of the changes among ops
	errs := make([]error, len(ops))
	for k, op := range ops {
		s, err := writeService(op.Service)
		if errs[k] = err; err == nil {
			changes, places = append(changes, serverChange{op.Action, s, writeDestination(op.Destination)}), append(places, k)
		}
	}
	var came []error
	err := b.call(func(t ipvsTable) (err error) { came, err = t.ChangeServers(changes); return err })
	if err != nil {
		b.close() // an answer that comes late is none to the next question
		came = slices.Repeat([]error{err}, len(changes))
	}
	for n, k := range places {
		errs[k] = came[n]
	}
	for k, op := range ops {
		switch err := errs[k]; {
		case err == nil, op.Action == desired.RemoveDestination && errors.Is(err, unix.ENOENT): // it has gone by itself
			errs[k] = nil
		case errors.Is(err, unix.EINVAL) && op.Destination.Address.Addr().Is6() != op.Service.Address.Addr().Is6():
			errs[k] = fmt.Errorf("%v: IPVS takes no real server of another family than the service's while it synchronises connections: remove one of the two (%w)", op, err)
		default:
			errs[k] = fmt.Errorf("%v: %w", op, err)
		}
	}
	return errs
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
	}
	for _, m := range methods() { // none of them for a method that no wish has
		if m.kernel == d.FwdMethod {
			out.Forward = m.wish
		}
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
	out := ipvs.Destination{
		Address: d.Address.Addr(), Port: d.Address.Port(), Family: family(d.Address.Addr()),
		Weight: uint32(d.Weight), UpperThreshold: d.UpperThreshold, LowerThreshold: d.LowerThreshold,
	}
	for _, m := range methods() {
		if m.wish == d.Forward {
			out.FwdMethod = m.kernel
		}
	}
	if d.Forward == desired.TUN {
		out.TunnelType, out.TunnelPort = map[string]ipvs.TunnelType{desired.GUE: ipvs.GUE, desired.GRE: ipvs.GRE}[d.Tunnel.Type], d.Tunnel.Port
		out.TunnelFlags = map[string]ipvs.TunnelFlags{
			desired.FullChecksum: ipvs.TunnelEncapChecksum, desired.RemoteChecksum: ipvs.TunnelEncapRemoteChecksum,
		}[d.Tunnel.Checksum]
	}
	return out
}

// methods are the forwarding methods in both tongues.
func methods() [3]method {
	return [3]method{{desired.DR, ipvs.DirectRoute}, {desired.NAT, ipvs.Masquerade}, {desired.TUN, ipvs.Tunnel}}
}

type method struct {
	wish   desired.Forward
	kernel ipvs.ForwardType
}
