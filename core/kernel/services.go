package kernel

import (
	"context"
	"errors"
	"log/slog"
	"maps"
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

// Services keeps the wished services in the table of IPVS of the network namespace of the thread that runs [Services.Run].
// Services that are there already and wished for are taken over as they are, without a gap. Those that are neither wished for
// nor recorded as ours are never touched.
type Services struct {
	opt    ServiceOptions
	wish   *mailbox[ipvsWish]
	drift  chan struct{}
	dial   func() (ipvsTable, error)
	sysctl func(name string) (string, error)
	counts atomic.Pointer[counted]
}

// counted is what the table counted at an instant.
type counted struct {
	traffic node.Traffic
	at      time.Time
}

// ipvsWish is what IPVS should hold.
type ipvsWish struct {
	services []desired.Service
	timeouts desired.Timeouts
	sync     desired.Sync
}

// NewServices makes an applier without a wish.
func NewServices(opt ServiceOptions) *Services {
	s := &Services{opt: opt, wish: newMailbox[ipvsWish](), drift: make(chan struct{}, 1), dial: dialIPVS, sysctl: readSysctl}
	s.counts.Store(&counted{})
	return s
}

// Set replaces the wish. It never blocks, and a wish that comes before the one before it was applied takes its place. Nothing
// in the kernel is touched before the first call.
// Of the wish, Services, Timeouts and Sync count. Timeouts that are zero are left as the system has them, or put back where a wish
// before had changed them.
func (s *Services) Set(want *desired.State) {
	s.wish.put(ipvsWish{want.Services, want.Timeouts, want.Sync})
}

// Drift asks for a look at the kernel, because somebody may have changed something. It never blocks.
func (s *Services) Drift() { nudge(s.drift) }

// Wait returns when everything wished before it has been tried once.
func (s *Services) Wait(ctx context.Context) error { return s.wish.wait(ctx) }

// Stats is what the table counts for all services, as of the last look at it, which is about a second old. It is shared:
// callers must not change it.
func (s *Services) Stats() node.Traffic { return s.counts.Load().traffic }

// StatsAt is [Services.Stats] with the instant of the look; zero before the first.
func (s *Services) StatsAt() (node.Traffic, time.Time) {
	c := s.counts.Load()
	return c.traffic, c.at
}

// Run applies the wishes until ctx ends. The last wish then stays in force.
func (s *Services) Run(ctx context.Context) error {
	own, err := readOwned(s.opt.Owned)
	if err != nil {
		s.opt.Logger.Warn("services that a former run has left and nobody wishes for any more stay in IPVS", "error", err)
	}
	a := &serviceApplier{backend: &backend{dial: s.dial}, owned: own, log: s.opt.Logger, sysctl: s.sysctl}
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
			var w ipvsWish
			w, taken = s.wish.take()
			a.want, a.timeouts, a.sync, fresh = w.services, w.timeouts, w.sync, true
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
	sysctl  func(name string) (string, error)

	want     []desired.Service
	timeouts desired.Timeouts
	sync     desired.Sync
	synced   desired.Sync // what runs of it
	toldSync desired.Sync // what was reported of it
	settled  bool         // the last pass left the table as it was wished
	counts   counted
	err      string // of the last pass
	told     string // the last error reported
	repaired []string
	lacks    []string // what the system lacks for the wish
	said     []string // what was reported of it
}

// pass compares and applies once, and says when the next pass is due. A fresh wish is new since the pass before.
func (a *serviceApplier) pass(fresh bool) time.Duration {
	if a.idle() {
		a.err, a.counts, a.settled, a.lacks = "", counted{at: time.Now()}, true, nil
		return lookEvery // a node without services needs no IPVS
	}
	start := time.Now()
	a.lacks = lacking(a.want, a.sysctl)
	repairing := a.settled && !fresh
	// The daemon comes first: connections that come while the services change are of use to the other director, too.
	unsynced := a.applySync(repairing)
	err := errors.Join(a.apply(repairing), a.applyTimeouts(), unsynced)
	a.settled = err == nil
	a.err = ""
	if err != nil {
		a.err = err.Error()
		return servicesRetry
	}
	return max(pollEvery, pollShare*time.Since(start))
}

// idle tells whether there is nothing to do, so that IPVS need not be there.
func (a *serviceApplier) idle() bool {
	nothing := len(a.want) == 0 && a.timeouts == (desired.Timeouts{}) && a.sync.Role == ""
	return nothing && len(a.owned.keys) == 0 && a.owned.before == nil && len(a.owned.syncs) == 0
}

// apply makes the changes that are needed. With repairing, each of them undoes what somebody else has done.
func (a *serviceApplier) apply(repairing bool) error {
	at := time.Now()
	have, counts, err := a.backend.list()
	if err != nil {
		return err
	}
	a.counts = counted{counts, at}
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
	service := op.Service.ServiceKey.String()
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
	if a.err == a.told && len(a.repaired) == 0 && slices.Equal(a.lacks, a.said) && a.synced == a.toldSync {
		return node.ServicesApplied{}, false
	}
	r := node.ServicesApplied{Error: a.err, Repaired: a.repaired, Lacks: a.lacks, Sync: a.synced}
	a.told, a.repaired, a.said, a.toldSync = a.err, nil, a.lacks, a.synced
	return r, true
}

func sortedKeys(keys map[desired.ServiceKey]bool) []desired.ServiceKey {
	return slices.SortedFunc(maps.Keys(keys), desired.ServiceKey.Compare)
}

func containsAll(set, keys map[desired.ServiceKey]bool) bool {
	for k := range keys {
		if !set[k] {
			return false
		}
	}
	return true
}
