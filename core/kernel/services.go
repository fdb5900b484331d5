package kernel

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/node"
)

const (
	// pollEvery is how often the table is looked at for changes by somebody else, since IPVS tells of none.
	pollEvery = time.Second
	// pollShare makes the pauses between looks at a large table longer: looking takes at most this part of the time.
	pollShare = 20
	// servicesRetry is how soon a failure is tried again.
	servicesRetry = 5 * time.Second
)

// ServiceOptions are what [NewServices] needs.
type ServiceOptions struct {
	// Logger gets what an operator should know besides the reports. Required.
	Logger *slog.Logger
	// Report is called by Run's goroutine when the error has changed, and when something was repaired. It must not block.
	// Required.
	Report func(node.ServicesApplied)
	// Owned is the path of the file that remembers which services are ours; its directory must exist. With an empty path,
	// services of a former run that are no longer wished for stay in the kernel.
	Owned string
}

// Counts are the connections of one real server, as IPVS counts them.
type Counts struct{ Active, Inactive uint32 }

// counters of all real servers.
type counters = map[desired.ServiceKey]map[netip.AddrPort]Counts

// Services keeps the wished services in the table of IPVS of the network namespace of the thread that runs [Services.Run].
// Services that are there already and wished for are taken over as they are, without a gap. Those that are neither wished for
// nor recorded as ours are never touched.
type Services struct {
	opt    ServiceOptions
	wish   *mailbox[[]desired.Service]
	drift  chan struct{}
	dial   func() (ipvsTable, error)
	counts atomic.Pointer[counters]
}

// NewServices makes an applier without a wish.
func NewServices(opt ServiceOptions) *Services {
	s := &Services{opt: opt, wish: newMailbox[[]desired.Service](), drift: make(chan struct{}, 1), dial: dialIPVS}
	s.counts.Store(&counters{})
	return s
}

// Set replaces the wish. It never blocks, and a wish that comes before the one before it was applied takes its place. Nothing
// in the kernel is touched before the first call.
func (s *Services) Set(want []desired.Service) { s.wish.put(want) }

// Drift asks for a look at the kernel, because somebody may have changed something. It never blocks.
func (s *Services) Drift() { nudge(s.drift) }

// Wait returns when everything wished before it has been tried once.
func (s *Services) Wait(ctx context.Context) error { return s.wish.wait(ctx) }

// Stats are the connections of the real servers of all services in the table, as of the last look at it, which is about a
// second old. They are shared: callers must not change them.
func (s *Services) Stats() map[desired.ServiceKey]map[netip.AddrPort]Counts { return *s.counts.Load() }

// Run applies the wishes until ctx ends. The last wish then stays in force.
func (s *Services) Run(ctx context.Context) error {
	own, err := readOwned(s.opt.Owned)
	if err != nil {
		s.opt.Logger.Warn("services that a former run has left and nobody wishes for any more stay in IPVS", "error", err)
	}
	a := &serviceApplier{backend: &backend{dial: s.dial}, owned: own, log: s.opt.Logger}
	defer a.backend.close()
	timer := time.NewTimer(pollEvery)
	defer timer.Stop()
	taken := uint64(0)
	for {
		fresh := false
		select {
		case <-ctx.Done():
			return nil
		case <-s.wish.changed:
			a.want, taken = s.wish.take()
			fresh = true
		case <-s.drift:
		case <-timer.C:
		}
		if taken == 0 {
			continue
		}
		pause := a.pass(fresh)
		counts := a.counts
		s.counts.Store(&counts)
		if r, ok := a.report(); ok {
			s.opt.Report(r)
		}
		s.wish.finish(taken)
		timer.Reset(pause)
	}
}

// serviceApplier makes the table hold what is wished. It belongs to one goroutine, and blocks only in the backend.
type serviceApplier struct {
	backend *backend
	owned   *owned
	log     *slog.Logger

	want     []desired.Service
	settled  bool // the last pass left the table as it was wished
	counts   counters
	err      string // of the last pass
	told     string // the last error reported
	repaired []string
}

// pass compares and applies once, and says when the next pass is due. A fresh wish is new since the pass before.
func (a *serviceApplier) pass(fresh bool) time.Duration {
	if len(a.want) == 0 && len(a.owned.keys) == 0 {
		a.err, a.counts, a.settled = "", nil, true
		return lookEvery // a node without services needs no IPVS
	}
	start := time.Now()
	err := a.apply(a.settled && !fresh)
	a.settled = err == nil
	a.err = ""
	if err != nil {
		a.err = err.Error()
		return servicesRetry
	}
	return max(pollEvery, pollShare*time.Since(start))
}

// apply makes the changes that are needed. With repairing, each of them undoes what somebody else has done.
func (a *serviceApplier) apply(repairing bool) error {
	have, counts, err := a.backend.list()
	if err != nil {
		return err
	}
	a.counts = counts
	wanted := make(map[desired.ServiceKey]bool, len(a.want))
	for _, s := range a.want {
		wanted[s.ServiceKey] = true
	}
	ours := maps.Clone(a.owned.keys)
	maps.Copy(ours, wanted)
	a.remember(ours)
	if err := a.change(desired.DiffServices(a.want, have, ours), repairing); err != nil {
		return err
	}
	a.remember(wanted)
	return nil
}

// change goes through all changes, also where some fail, and says why they failed.
func (a *serviceApplier) change(ops []desired.ServiceOp, repairing bool) error {
	var failed []error
	for _, op := range ops {
		if err := a.backend.apply(op); err != nil {
			failed = append(failed, err)
			if errors.Is(err, errTimeout) || errors.Is(err, errNoIPVS) {
				break
			}
			continue
		}
		if repairing {
			a.repaired = append(a.repaired, describe(op))
		}
	}
	return errors.Join(failed...)
}

// remember records before anything is made, so that a crash leaves nothing in the table that nobody knows. Where it cannot be
// recorded, serving goes before tidiness.
func (a *serviceApplier) remember(keys map[desired.ServiceKey]bool) {
	if err := a.owned.set(keys); err != nil {
		a.log.Warn("after a crash, services may stay in IPVS that nobody wishes for any more", "error", err)
	}
}

// describe says what somebody else had done, by the change that undid it.
func describe(op desired.ServiceOp) string {
	service := string(op.Service.Protocol) + " " + op.Service.Address.String()
	server := "the real server " + op.Destination.Address.String() + " of " + service
	switch op.Action {
	case desired.AddService:
		return "the service " + service + " had been removed; it was put back"
	case desired.UpdateService:
		return "the service " + service + " had been changed; it was changed back"
	case desired.RemoveService:
		return "the service " + service + " had been put back; it was removed"
	case desired.AddDestination:
		return server + " had been removed; it was put back"
	case desired.UpdateDestination:
		return server + " had been changed; it was changed back"
	case desired.RemoveDestination:
		return server + " had been added by somebody else; it was removed"
	}
	return op.String()
}

// report says what is new since the last one, and whether anything is.
func (a *serviceApplier) report() (node.ServicesApplied, bool) {
	if a.err == a.told && len(a.repaired) == 0 {
		return node.ServicesApplied{}, false
	}
	r := node.ServicesApplied{Error: a.err, Repaired: a.repaired}
	a.told, a.repaired = a.err, nil
	return r, true
}

func sortedKeys(keys map[desired.ServiceKey]bool) []desired.ServiceKey {
	return slices.SortedFunc(maps.Keys(keys), func(a, b desired.ServiceKey) int {
		return cmp.Or(a.Address.Compare(b.Address), cmp.Compare(a.Protocol, b.Protocol))
	})
}

func containsAll(set, keys map[desired.ServiceKey]bool) bool {
	for k := range keys {
		if !set[k] {
			return false
		}
	}
	return true
}
