package kernel

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/core/desired"
)

// routes keeps the routes and rules of virtual routers that are master here. They bear our mark, and nothing without it is touched.
// The kernel knows no lease of a route: what a killed daemon leaves, the next run removes. It belongs to the goroutine of its keeper.
type routes struct {
	table *rtnl // nil where there is no kernel
	log   *slog.Logger

	wantRoutes []desired.Route
	wantRules  []desired.Rule
	// What the kernel holds that bears our mark, as of the last look and the changes since.
	haveRoutes map[slot]desired.Route
	haveRules  map[desired.Rule]bool
	done       map[string]bool // by text, what was applied as it is wished

	failed   map[string]*failure // by text
	changed  bool                // since the last report
	repaired []string            // since the last report
	used     bool                // there have been any
}

// slot is where a route is in the kernel's table, where there can be one of ours only.
type slot struct {
	prefix        netip.Prefix
	table, metric uint32
}

func slotOf(r desired.Route) slot { return slot{r.Prefix, r.Table, metric(r)} }

// metric is the metric of a route in the kernel: IPv6 has IP6_RT_PRIO_USER where none is given.
func metric(r desired.Route) uint32 {
	if r.Metric == 0 && r.Prefix.Addr().Is6() {
		return 1024
	}
	return r.Metric
}

func newRoutes(t *rtnl, log *slog.Logger) *routes {
	return &routes{
		table: t, log: log, haveRoutes: map[slot]desired.Route{}, haveRules: map[desired.Rule]bool{},
		done: map[string]bool{}, failed: map[string]*failure{},
	}
}

func (r *routes) set(s *desired.State) {
	r.wantRoutes, r.wantRules = s.Routes, s.Rules
	r.used = r.used || len(s.Routes)+len(s.Rules) > 0
	wanted := map[string]bool{}
	for _, w := range s.Routes {
		wanted[w.String()] = true
	}
	for _, w := range s.Rules {
		wanted[w.String()] = true
	}
	for text := range r.failed {
		if !wanted[text] {
			r.resolve(text)
		}
	}
	for text := range r.done {
		if !wanted[text] {
			delete(r.done, text)
		}
	}
}

// look reads what the kernel holds of ours. Where there have never been any, only the first look does.
func (r *routes) look(links map[string]link, first bool) error {
	if r.table == nil || !first && !r.used {
		return nil
	}
	names := make(map[int]string, len(links))
	for _, l := range links {
		names[l.index] = l.name
	}
	have, err := r.table.ourRoutes(names)
	if err != nil {
		return err
	}
	rules, err := r.table.ourRules()
	if err != nil {
		return err
	}
	clear(r.haveRoutes)
	clear(r.haveRules)
	for _, h := range have {
		r.haveRoutes[slotOf(h)] = h
	}
	for _, h := range rules {
		r.haveRules[h] = true
	}
	r.used = r.used || len(have)+len(rules) > 0
	r.forgetLost()
	return nil
}

// forgetLost drops what was applied and is no longer there, so that add puts it back.
func (r *routes) forgetLost() {
	for _, w := range r.wantRoutes {
		if text := w.String(); r.done[text] && !r.hasRoute(w) {
			delete(r.done, text)
			r.repaired = append(r.repaired, text)
		}
	}
	for _, w := range r.wantRules {
		if text := w.String(); r.done[text] && !r.haveRules[w] {
			delete(r.done, text)
			r.repaired = append(r.repaired, text)
		}
	}
}

// hasRoute tells whether the kernel holds a route as it is wished. What the wish leaves open may be anything.
func (r *routes) hasRoute(w desired.Route) bool {
	h, ok := r.haveRoutes[slotOf(w)]
	if w.Interface == "" {
		h.Interface = ""
	}
	if w.Scope == "" {
		h.Scope = ""
	}
	w.Metric = metric(w)
	return ok && h == w
}

// add sets what is missing: routes first, so that no rule leads to an empty table.
func (r *routes) add(now time.Time) {
	if r.table == nil {
		return
	}
	for _, w := range r.wantRoutes {
		r.try(now, w.String(), r.hasRoute(w), func() error {
			_, ours := r.haveRoutes[slotOf(w)]
			if err := r.table.addRoute(w, ours); err != nil {
				return err
			}
			h := w
			h.Metric = metric(w)
			r.haveRoutes[slotOf(w)] = h
			return nil
		})
	}
	for _, w := range r.wantRules {
		r.try(now, w.String(), r.haveRules[w], func() error {
			if err := r.table.addRule(w); err != nil {
				return err
			}
			r.haveRules[w] = true
			return nil
		})
	}
}

// try applies one wish, unless that was done, or failed a short time ago.
func (r *routes) try(now time.Time, text string, there bool, apply func() error) {
	if f := r.failed[text]; r.done[text] || f != nil && now.Before(f.retryAt) {
		return
	}
	if !there {
		if err := apply(); err != nil {
			r.fail(now, text, err)
			return
		}
		r.changed = true
	}
	r.done[text] = true
	r.resolve(text)
}

// remove takes away what is no longer wished: rules first.
func (r *routes) remove() {
	for h := range r.haveRules {
		if slices.Contains(r.wantRules, h) {
			continue
		}
		if err := r.table.removeRule(h); err != nil && !errors.Is(err, unix.ENOENT) {
			r.log.Error("a rule that is given up is still there", "rule", h.String(), "error", err)
			continue
		}
		delete(r.haveRules, h)
	}
	for s, h := range r.haveRoutes {
		if slices.ContainsFunc(r.wantRoutes, func(w desired.Route) bool { return slotOf(w) == s }) {
			continue
		}
		if err := r.table.removeRoute(h); err != nil && !errors.Is(err, unix.ESRCH) && !errors.Is(err, unix.ENODEV) {
			r.log.Error("a route that is given up is still there", "route", h.String(), "error", err)
			continue
		}
		delete(r.haveRoutes, s)
	}
}

func (r *routes) fail(now time.Time, text string, err error) {
	f := r.failed[text]
	if f == nil {
		f = &failure{}
		r.failed[text] = f
	}
	reason := fmt.Sprintf("set %s: %v", text, err)
	r.changed = r.changed || f.text != reason
	f.text = reason
	f.delay = min(max(2*f.delay, retryFirst), retryMost)
	f.retryAt = now.Add(f.delay)
}

func (r *routes) resolve(text string) {
	if r.failed[text] != nil {
		delete(r.failed, text)
		r.changed = true
	}
}

// next is when something that failed is tried again; zero for never.
func (r *routes) next() (next time.Time) {
	for _, f := range r.failed {
		next = earlier(f.retryAt, next)
	}
	return next
}

// report gives what failed and what was repaired, by text, and forgets the latter.
func (r *routes) report() (failed map[string]string, repaired []string) {
	failed = map[string]string{}
	for text, f := range r.failed {
		failed[text] = f.text
	}
	for _, text := range r.repaired {
		if r.done[text] {
			repaired = append(repaired, text)
		}
	}
	r.changed, r.repaired = false, nil
	return failed, repaired
}
