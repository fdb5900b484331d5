package kernel

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/cloudflare/ipvs"
	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/core/desired"
)

// fakeIPVS is a table of services in memory with the manners of the kernel's: an empty list is an error, what exists cannot be
// created, what does not exist can be neither changed nor removed, a service needs a netmask and comes back with a flag more.
type fakeIPVS struct {
	mu       sync.Mutex
	absent   bool // the kernel has no IPVS
	hang     bool // no call returns before Close
	opened   int
	closed   chan struct{}
	services []fakeService
	timeouts ipvs.Config
	syncs    []desired.Sync
	trace    []string
	refuse   map[string]error // by the beginning of the line in the trace
}

type fakeService struct {
	ipvs.Service
	engine string
	dests  []ipvs.DestinationExtended
}

func (f *fakeIPVS) dial() (ipvsTable, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.absent {
		return nil, errNoIPVS
	}
	f.opened++
	f.closed = make(chan struct{})
	return f, nil
}

func (f *fakeIPVS) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.closed)
	return nil
}

// ask begins a call: it writes down those that change something, and refuses what is to be refused.
func (f *fakeIPVS) ask(format string, args ...any) error {
	f.mu.Lock()
	hang, closed := f.hang, f.closed
	if hang {
		f.mu.Unlock()
		<-closed
		f.mu.Lock()
		return fs.ErrClosed
	}
	if format == "" {
		return nil
	}
	line := fmt.Sprintf(format, args...)
	f.trace = append(f.trace, line)
	for prefix, err := range f.refuse {
		if strings.HasPrefix(line, prefix) {
			return err
		}
	}
	return nil
}

func name(s ipvs.Service) string {
	return fmt.Sprintf("%v %v", s.Protocol, netip.AddrPortFrom(s.Address, s.Port))
}

func (f *fakeIPVS) find(s ipvs.Service) *fakeService {
	i := slices.IndexFunc(f.services, func(o fakeService) bool { return o.FWMark == s.FWMark && name(o.Service) == name(s) })
	if i < 0 {
		return nil
	}
	return &f.services[i]
}

func (s *fakeService) find(d ipvs.Destination) int {
	return slices.IndexFunc(s.dests, func(o ipvs.DestinationExtended) bool { return o.Address == d.Address && o.Port == d.Port })
}

func (f *fakeIPVS) Services() ([]ipvs.ServiceExtended, error) {
	defer f.mu.Unlock()
	if err := f.ask(""); err != nil {
		return nil, err
	}
	if len(f.services) == 0 {
		return nil, fs.ErrNotExist
	}
	var all []ipvs.ServiceExtended
	for _, s := range f.services {
		s.Flags |= ipvs.ServiceHashed
		all = append(all, ipvs.ServiceExtended{Service: s.Service, Stats64: ipvs.Stats{Connections: 1 << 33, IncomingByteRate: 5}})
	}
	return all, nil
}

func (f *fakeIPVS) CreateService(s ipvs.Service) error {
	defer f.mu.Unlock()
	if err := f.ask("create %s %s timeout %d flags %d", name(s), s.Scheduler, s.Timeout, s.Flags); err != nil {
		return err
	}
	switch {
	case f.find(s) != nil:
		return unix.EEXIST
	case !s.Netmask.IsValid():
		return unix.EINVAL
	}
	f.services = append(f.services, fakeService{Service: s})
	return nil
}

func (f *fakeIPVS) UpdateService(s ipvs.Service) error {
	defer f.mu.Unlock()
	if err := f.ask("update %s %s timeout %d flags %d", name(s), s.Scheduler, s.Timeout, s.Flags); err != nil {
		return err
	}
	old := f.find(s)
	if old == nil {
		return unix.ESRCH
	}
	old.Service, old.engine = s, ""
	return nil
}

func (f *fakeIPVS) RemoveService(s ipvs.Service) error {
	defer f.mu.Unlock()
	if err := f.ask("remove %s", name(s)); err != nil {
		return err
	}
	if f.find(s) == nil {
		return unix.ESRCH
	}
	f.services = slices.DeleteFunc(f.services, func(o fakeService) bool { return name(o.Service) == name(s) })
	return nil
}

func (f *fakeIPVS) Destinations(s ipvs.Service) ([]ipvs.DestinationExtended, error) {
	defer f.mu.Unlock()
	if err := f.ask(""); err != nil {
		return nil, err
	}
	if old := f.find(s); old != nil && len(old.dests) > 0 {
		return slices.Clone(old.dests), nil
	}
	return nil, fs.ErrNotExist
}

func (f *fakeIPVS) ChangeServers(changes []serverChange) ([]error, error) {
	errs := make([]error, len(changes))
	for k, c := range changes {
		if errs[k] = f.changeServer(c); errors.Is(errs[k], fs.ErrClosed) {
			return nil, errs[k]
		}
	}
	return errs, nil
}

func (f *fakeIPVS) changeServer(c serverChange) error {
	defer f.mu.Unlock()
	d := c.server
	words := map[desired.Action]string{
		desired.AddDestination:    fmt.Sprintf("create %v:%d %v weight %d", d.Address, d.Port, d.FwdMethod, d.Weight),
		desired.UpdateDestination: fmt.Sprintf("update %v:%d %v weight %d", d.Address, d.Port, d.FwdMethod, d.Weight),
		desired.RemoveDestination: fmt.Sprintf("remove %v:%d", d.Address, d.Port),
	}
	if err := f.ask("%s of %s", words[c.action], name(c.service)); err != nil {
		return err
	}
	s := f.find(c.service)
	if s == nil {
		return unix.ESRCH
	}
	at := s.find(d)
	switch {
	case c.action == desired.AddDestination && at >= 0:
		return unix.EEXIST
	case c.action == desired.AddDestination:
		s.dests = append(s.dests, ipvs.DestinationExtended{
			Destination: d, ActiveConnections: 3, InactiveConnections: 4, Stats64: ipvs.Stats{IncomingBytes: 1 << 40},
		})
	case at < 0:
		return unix.ENOENT
	case c.action == desired.UpdateDestination:
		s.dests[at].Destination = d
	default:
		s.dests = slices.Delete(s.dests, at, at+1)
	}
	return nil
}

// by is somebody else who changes the table.
func (f *fakeIPVS) by(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// asked is what was asked since the last call, one line for each change.
func (f *fakeIPVS) asked() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.trace
	f.trace = nil
	return t
}

func (f *fakeIPVS) Engines() (map[desired.ServiceKey]string, error) {
	defer f.mu.Unlock()
	if err := f.ask(""); err != nil {
		return nil, err
	}
	engines := map[desired.ServiceKey]string{}
	for _, s := range f.services {
		if key, ok := readKey(s.Service); ok && s.engine != "" {
			engines[key] = s.engine
		}
	}
	return engines, nil
}

func (f *fakeIPVS) PutService(create bool, s ipvs.Service, engine string) error {
	put := f.UpdateService
	if create {
		put = f.CreateService
	}
	if err := put(s); err != nil {
		return err
	}
	f.by(func() { f.find(s).engine = engine })
	return nil
}

func (f *fakeIPVS) Config() (ipvs.Config, error) {
	defer f.mu.Unlock()
	err := f.ask("") // locks
	return f.timeouts, err
}

func (f *fakeIPVS) SetConfig(c ipvs.Config) error {
	defer f.mu.Unlock()
	if err := f.ask("timeouts %d %d %d", c.TCPTimeout, c.TCPFinTimeout, c.UDPTimeout); err != nil {
		return err
	}
	f.timeouts = c
	return nil
}

func (f *fakeIPVS) Syncs() ([]desired.Sync, error) {
	defer f.mu.Unlock()
	err := f.ask("") // locks
	return slices.Clone(f.syncs), err
}

func (f *fakeIPVS) StartSync(s desired.Sync) error {
	defer f.mu.Unlock()
	if err := f.ask("start %v id %d", s, s.ID); err != nil {
		return err
	}
	if slices.ContainsFunc(f.syncs, func(o desired.Sync) bool { return o.Role == s.Role }) {
		return unix.EEXIST
	}
	s.MaxLength = 1472 // the kernel's choice
	f.syncs = append(f.syncs, s)
	return nil
}

func (f *fakeIPVS) StopSync(s desired.Sync) error {
	defer f.mu.Unlock()
	if err := f.ask("stop %v id %d", s, s.ID); err != nil {
		return err
	}
	before := len(f.syncs)
	f.syncs = slices.DeleteFunc(f.syncs, func(o desired.Sync) bool { return o.Role == s.Role })
	if len(f.syncs) == before {
		return unix.ESRCH
	}
	return nil
}
