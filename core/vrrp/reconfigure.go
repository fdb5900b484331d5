package vrrp

import (
	"slices"
	"time"
)

// Reconfigure replaces the configuration. With the same VRID and version the state stays, and what does not change has no
// effect at all: the same configuration twice sends nothing and moves no deadline. Otherwise it is another virtual router:
// a master resigns, and the new one starts. An unset Source keeps the known one. The priority keeps what tracks add to it.
func (r *Router) Reconfigure(now time.Time, cfg Config) Output {
	r.begin(now)
	if !cfg.Source.IsValid() {
		cfg.Source = r.cfg.Source
	}
	if cfg.VRID != r.cfg.VRID || cfg.Version != r.cfg.Version {
		r.replace(now, cfg)
		return r.out
	}
	old := r.cfg
	r.setConfig(cfg)
	if cfg.Priority != old.Priority {
		r.setEffective(now, moved(r.effective, old.Priority, cfg.Priority))
	}
	if cfg.Priority != old.Priority || cfg.Preempt != old.Preempt || cfg.PreemptDelay != old.PreemptDelay {
		r.yielded, r.preemptAt = false, time.Time{}
	}
	if cfg.Interval != old.Interval {
		r.setInterval(now)
	}
	if cfg.Source != old.Source || !slices.Equal(cfg.Addresses, old.Addresses) {
		r.advertiseNow(now)
	}
	r.leaveGate(now)
	r.start(now)
	return r.out
}

// replace makes another virtual router of this one.
func (r *Router) replace(now time.Time, cfg Config) {
	runs := r.starting || r.state == Backup || r.state == Master || r.state == Hold
	if runs {
		r.leave(now, Init, "the virtual router was replaced")
	}
	r.setConfig(cfg)
	r.effective, r.master = cfg.Priority, peer{}
	r.starting, r.adopt = runs, false
	r.start(now)
}

// moved is the effective priority after a change of the base priority.
func moved(effective, from, to uint8) uint8 {
	if to == 255 || from == 255 {
		return to
	}
	return uint8(min(max(int(effective)-int(from)+int(to), 1), 254)) // clamped on this line
}

// setInterval takes a new own interval over. A master never waits longer than it had promised; a backup waits afresh.
func (r *Router) setInterval(now time.Time) {
	if r.cfg.Version == 2 || !r.master.addr.IsValid() {
		r.interval = r.cfg.Interval
	} else {
		r.learn(r.interval)
	}
	switch {
	case r.state == Backup && !r.linger.stop:
		r.armDown(now)
	case r.state == Master && !r.handover.active():
		if next := now.Add(r.cfg.Interval); next.Before(r.deadline) {
			r.deadline = next
		}
	}
}
