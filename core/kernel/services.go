package kernel

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
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
	module func(name string) bool
	look   func() func(vip netip.Addr) (in, back string)
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
	vips     []netip.Addr
	last     bool
}

// NewServices makes an applier without a wish.
func NewServices(opt ServiceOptions) *Services {
	s := &Services{opt: opt, wish: newMailbox[ipvsWish](), drift: make(chan struct{}, 1), dial: dialIPVS, sysctl: readSysctl, look: waysOf, module: func(name string) bool { return loaded(os.DirFS("/"), name) }}
	s.counts.Store(&counted{})
	return s
}

// Set replaces the wish. It never blocks, and a wish that comes before the one before it was applied takes its place. Nothing
// in the kernel is touched before the first call.
// Of the wish, Services, Timeouts, Sync, VIPs and Last count. Timeouts that are zero are left as the system has them, or put back where a wish
// before had changed them.
func (s *Services) Set(want *desired.State) {
	s.wish.put(ipvsWish{want.Services, want.Timeouts, want.Sync, want.VIPs, want.Last})
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
	a := &serviceApplier{
		backend: &backend{dial: s.dial}, owned: own, log: s.opt.Logger, sysctl: s.sysctl, module: s.module, look: s.look, now: time.Now,
		leaving: maps.Clone(own.leaving),
	}
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
			a.take(w)
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
	sysctl  func(name string) (string, error)
	module  func(name string) bool
	look    func() func(vip netip.Addr) (in, back string)
	ways    func(vip netip.Addr) (in, back string)
	looked  time.Time // for the ways

	want     []desired.Service
	timeouts desired.Timeouts
	sync     desired.Sync
	vips     map[netip.Addr]bool // false for one that no virtual router has any more
	last     bool
	synced   desired.Sync // what runs of it
	unsynced string       // why it does not
	leaving  leaving
	left     []node.Left // since the last report

	broken  error                          // why the table could not be asked in this pass
	failed  map[desired.ServiceKey][]error // what could not be made in this pass
	missing map[desired.ServiceKey]bool    // the services that could not be made in this pass
	changes int                            // that were made in this pass
	now     func() time.Time

	settled  bool // the last pass left the table as it was wished
	counts   counted
	err      string               // of the last pass
	told     node.ServicesApplied // the last report
	repaired []string
	lacks    []string // what the system lacks for the wish
}

// take makes a wish the one that counts.
func (a *serviceApplier) take(w ipvsWish) {
	a.want, a.timeouts, a.sync, a.last = w.services, w.timeouts, w.sync, w.last
	if a.vips == nil {
		a.vips = map[netip.Addr]bool{}
	}
	for vip := range a.vips {
		a.vips[vip] = false
	}
	for _, vip := range w.vips {
		a.vips[vip] = true
	}
}

// pass compares and applies once, and says when the next pass is due. A fresh wish is new since the pass before.
func (a *serviceApplier) pass(fresh bool) time.Duration {
	if a.idle() {
		a.err, a.counts, a.settled, a.lacks, a.failed, a.leaving, a.synced, a.unsynced = "", counted{at: time.Now()}, true, nil, nil, nil, desired.Sync{}, ""
		return lookEvery // a node without services needs no IPVS
	}
	start := time.Now()
	if fresh || start.Sub(a.looked) >= lookEvery {
		a.ways, a.looked = a.look(), start
	}
	a.lacks = lacking(a.want, a.sysctl, a.module, a.ways)
	repairing := a.settled && !fresh
	a.broken, a.changes, a.failed, a.missing = nil, 0, map[desired.ServiceKey][]error{}, map[desired.ServiceKey]bool{}
	// The daemon comes first: connections that come while the services change are of use to the other director, too.
	unsynced := a.applySync(repairing)
	a.unsynced = ""
	if unsynced != nil {
		a.unsynced = unsynced.Error()
	}
	err := errors.Join(a.apply(repairing), a.applyTimeouts())
	a.settled = err == nil && len(a.failed) == 0 && unsynced == nil
	a.err = ""
	if err != nil {
		a.err = err.Error()
	}
	if !a.settled {
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
	wanted := make(map[desired.ServiceKey]time.Duration, len(a.want))
	for _, s := range a.want {
		wanted[s.ServiceKey] = s.Drain
	}
	ended := a.ending(have, wanted)
	ours := maps.Clone(a.owned.keys)
	maps.Copy(ours, wanted)
	a.remember(ours)
	now, slow := splitLeaving(desired.DiffServices(append(slices.Clip(a.want), ended...), have, set(ours)))
	began := time.Now()
	for _, op := range a.do(now) {
		if repairing {
			a.repaired = append(a.repaired, describe(op))
		}
	}
	a.leave(slow, repairing)
	if err := a.owned.setLeaving(a.leaving); err != nil {
		a.log.Warn("after a restart, the real servers that leave get their whole time again", "error", err)
	}
	for _, s := range a.end(ended) {
		wanted[s.ServiceKey] = s.Drain
	}
	if a.changes > 0 {
		a.log.Debug("IPVS was changed", "changes", a.changes, "took", time.Since(began))
	}
	if a.broken == nil && len(a.failed) == 0 {
		a.remember(wanted)
	}
	return a.broken
}

// do makes changes in order, and returns those that are made. A failure goes on the account of its service, of which nothing else is
// tried where it could not be made itself. A table that does not answer is asked nothing more in this pass.
func (a *serviceApplier) do(ops []desired.ServiceOp) (made []desired.ServiceOp) {
	for len(ops) > 0 && a.broken == nil {
		n := together(ops)
		batch := slices.DeleteFunc(slices.Clone(ops[:n]), func(op desired.ServiceOp) bool { return a.missing[op.Service.ServiceKey] })
		ops = ops[n:]
		for k, err := range a.backend.apply(batch) {
			if err == nil {
				a.changes++
				made = append(made, batch[k])
				continue
			}
			a.refuse(batch[k], err)
		}
	}
	return made
}

// together is how many of the changes go to the kernel at once: one to a service, or several to real servers.
func together(ops []desired.ServiceOp) int {
	n := slices.IndexFunc(ops, func(op desired.ServiceOp) bool { return !op.Destination.Address.IsValid() })
	if n < 0 {
		n = len(ops)
	}
	return min(max(n, 1), serverBatch)
}

// refuse takes note of a change that could not be made.
func (a *serviceApplier) refuse(op desired.ServiceOp, err error) {
	key := op.Service.ServiceKey
	switch {
	case errors.Is(err, errTimeout), errors.Is(err, errNoIPVS):
		a.broken = err
	default:
		a.fail(key, err)
		a.missing[key] = a.missing[key] || op.Action == desired.AddService
	}
}

// maxReasons is how many of the reasons are told for which one service is not as it should be.
const maxReasons = 3

// fail puts a failure on the account of a service.
func (a *serviceApplier) fail(key desired.ServiceKey, err error) {
	a.failed[key] = append(a.failed[key], err)
}

// failures are the reasons in words.
func (a *serviceApplier) failures() map[desired.ServiceKey]string {
	out := make(map[desired.ServiceKey]string, len(a.failed))
	for key, errs := range a.failed {
		text := errors.Join(errs[:min(len(errs), maxReasons)]...).Error()
		if more := len(errs) - maxReasons; more > 0 {
			text += fmt.Sprintf("\nand %d more", more)
		}
		out[key] = strings.ReplaceAll(text, "\n", "; ")
	}
	return out
}

// remember records before anything is made, so that a crash leaves nothing in the table that nobody knows. Where it cannot be
// recorded, serving goes before tidiness.
func (a *serviceApplier) remember(keys map[desired.ServiceKey]time.Duration) {
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
	r := node.ServicesApplied{
		Error: a.err, Failed: a.failures(), Repaired: a.repaired, Lacks: a.lacks, Sync: a.synced, SyncError: a.unsynced, Leaving: a.leaving.sorted(), Left: a.left,
	}
	t := a.told
	same := r.Error == t.Error && maps.Equal(r.Failed, t.Failed) && slices.Equal(r.Lacks, t.Lacks) && r.Sync == t.Sync && r.SyncError == t.SyncError &&
		slices.Equal(r.Leaving, t.Leaving)
	if same && len(r.Repaired) == 0 && len(r.Left) == 0 {
		return node.ServicesApplied{}, false
	}
	a.told, a.repaired, a.left = r, nil, nil
	return r, true
}

// set is the keys of a map.
func set(keys map[desired.ServiceKey]time.Duration) map[desired.ServiceKey]bool {
	out := make(map[desired.ServiceKey]bool, len(keys))
	for k := range keys {
		out[k] = true
	}
	return out
}
