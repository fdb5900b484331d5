package main

// mutant is a small change to the code that makes it wrong. Some test must notice.
type mutant struct {
	name      string
	file      string
	old, new_ string // old is there exactly once
}

// mutants of the election, of what a node makes of it, and of the leases. A change of the code that makes one of them no longer
// fit is told: then the line here changes with it.
var mutants = []mutant{
	{"a master that ends does not resign", "core/vrrp/router.go", "if r.state == Master {\n\t\tr.send(now, 0)\n\t}", ""},
	{
		"addresses are compared as signed", "core/vrrp/master.go", "order := src.Compare(r.cfg.Source)",
		"order := int(int8(src.As16()[15])) - int(int8(r.cfg.Source.As16()[15]))",
	},
	{"equal priority preempts", "core/vrrp/backup.go", "case a.Priority >= r.effective:", "case a.Priority > r.effective:"},
	{"the down timer ignores a new priority", "core/vrrp/router.go", "if r.skewed && now.Before(r.deadline) {", "if false {"},
	{"a learned interval is not bounded", "core/vrrp/backup.go", "r.interval = min(max(interval, r.cfg.Interval/4), 4*r.cfg.Interval)", "r.interval = interval"},
	{"preempt_delay is ignored", "core/vrrp/backup.go", "return !now.Before(r.preemptAt)", "return true"},
	{"preempt = false is ignored", "core/vrrp/backup.go", "case !r.cfg.Preempt:\n\t\treturn false", "case !r.cfg.Preempt:"},
	{"a hand-over is taken back", "core/vrrp/backup.go", "case r.yielded:\n\t\treturn false", "case r.yielded && false:\n\t\treturn false"},
	{"anybody's resignation is obeyed", "core/vrrp/backup.go", "if r.master.addr.IsValid() && r.master.addr != src {", "if false {"},
	{"a stall is not noticed", "core/vrrp/master.go", "now.Sub(r.deadline) <= 2*r.cfg.Interval {", "now.Sub(r.deadline) <= 2*time.Hour {"},
	{"a stall leaves the group", "core/vrrp/master.go", "r.gate.follows = r.cfg.Gated //", "//"},
	{"the rest after a hand-over lasts too long", "core/vrrp/handover.go", "lingerTime = 50 * time.Millisecond", "lingerTime = 5000 * time.Millisecond"},
	{"nothing is announced again after a heal", "core/vrrp/master.go", "func (r *Router) reannounce(now time.Time) {", "func (r *Router) reannounce(now time.Time) {\n\treturn\n}\n\nfunc (r *Router) unused(now time.Time) {"},
	{"a loser is silent", "core/vrrp/master.go", "tell: true}", "tell: false}"},
	{"a new master announces nothing", "core/vrrp/master.go", "r.counters.BecameMaster++\n\tr.announce(now)", "r.counters.BecameMaster++"},
	{"a new master is silent for an interval", "core/vrrp/master.go", "r.send(now, r.effective)\n\tr.enter(now, Master, reason)", "r.enter(now, Master, reason)"},
	{"a master never yields to a better one", "core/vrrp/master.go", "case a.Priority > r.effective:", "case a.Priority > r.effective && r.cfg.Sync:"},
	{"both lose a tie", "core/vrrp/master.go", "a.Priority == r.effective && order > 0\n", "a.Priority == r.effective\n"},
	{"a sleeper does not read first", "core/vrrp/backup.go", "if !r.late && late > lateGrace {", "if false {"},
	{"an interval of 0 is accepted", "core/vrrp/advert.go", "if a.Interval == 0 {", "if false {"},
	{"a wrong checksum is accepted", "core/vrrp/advert.go", "if !ok {\n\t\treturn Advert{}, ReasonChecksum\n\t}", "_ = ok"},
	{"forwarded adverts are accepted", "core/vrrp/receive.go", "case h.TTL < least:", "case h.TTL < least-1:"},
	{"two missed adverts are enough", "core/vrrp/timer.go", "return 3*interval +", "return 2*interval +"},
	{"a wrong clock makes a second master", "core/vrrp/clock.go", "return r.unsure.addr.IsValid() && now.Sub(r.unsure.last) < r.MasterDown()", "return false"},
	{"a clock set back makes a second master", "core/vrrp/replay.go", "case seq != m.stale && m.again < againMost:", "case false:"},
	{"a hand-over lets go first", "core/vrrp/router.go", "return r.state == Master || !r.linger.until.IsZero()", "return r.state == Master && !r.handover.active()"},
	{"an owner waits for preempt_delay", "core/vrrp/backup.go", "case r.effective == 255:\n\t\treturn true", "case r.effective == 255 && r.cfg.PreemptDelay == 0:\n\t\treturn true"},
	{"a reload restarts the routers", "core/vrrp/reconfigure.go", "if cfg.VRID != r.cfg.VRID ||", "if true ||"},
	{"a reload winds up the timers", "core/vrrp/reconfigure.go", "if cfg.Interval != old.Interval {", "if true {"},

	{"a lease is not renewed", "core/node/lease.go", "lease > 0 && now.Sub(i.wished) >= renewal(lease) {", "lease > 0 && now.Sub(i.wished) >= 100*renewal(lease) {"},
	{"a renewal is told too late", "core/node/lease.go", "(lease != time.Second || now.Sub(i.renewed) <= alongFor)", "true"},
	{"a hand-over does not renew", "core/node/lease.go", "if i.router.HandingOver() { //", "if false { //"},
	{"a lease outlasts a take-over", "core/node/lease.go", "peer, i.cfg.VRRP.Interval)\n\treturn max((down - leaseMargin)", "peer, i.cfg.VRRP.Interval)\n\treturn max((down + 2*time.Second)"},
	{"an address without a lease is adopted", "core/node/instance.go", "return !m.source || !leased ||", "return !m.source || !leased && false ||"},
	{"a group is half adopted", "core/node/instance.go", "return !slices.ContainsFunc(i.mates(), func(m *instance) bool {", "return !slices.ContainsFunc([]*instance{i}, func(m *instance) bool {"},
	{"a sync group is half promoted", "core/node/gate.go", "return i.router.Wants() == \"\" && !i.isMaster() }) {", "return i.router.Wants() == \"\" && !i.isMaster() }) && false {"},
	{"a lease is long beside a live peer", "core/node/lease.go", "if i.remote {\n\t\treturn longLease", "if i.cfg.Lease.Auto {\n\t\treturn longLease"},
	{"two masters that meet wait for an advert", "core/node/member.go", "\tm.back = now\n", ""},
	{"a sync group loses one member", "core/node/group.go", "if k < 0 {\n\t\treturn\n\t}\n\tloser", "if k < 0 || len(g.members) > 1 {\n\t\treturn\n\t}\n\tloser"},
	{"the tracks of a group are not shared", "core/node/group.go", "i.tracks = n.cfg.Shared(c)", "i.tracks = i.cfg.Tracks"},
	{"FAULT keeps the VIPs", "core/node/instance.go", "if holds := i.router.Holds(); holds != i.holds {", "if holds := i.router.Holds() || i.holds && i.router.State() == vrrp.Fault; holds != i.holds {"},
	{
		"an address is announced that is not held", "core/node/lease.go", "if !i.holds {\n\t\treturn\n\t}\n\tlease := i.lease(lone)",
		"if !i.holds {\n\t\tfor _, a := range i.cfg.Addresses {\n\t\t\ts.Announcements = append(s.Announcements, desired.Announcement{AddressKey: a.key(), Epoch: i.epoch, Garp: i.cfg.Garp})\n\t\t}\n\t\treturn\n\t}\n\tlease := i.lease(lone)",
	},
	{"an address that is refused means nothing", "core/node/instance.go", "if failed && i.holds && i.refused[a.key()] == \"\" {", "if failed && i.holds && i.refused[a.key()] == \"\" && false {"},
	{"unknown counts as down", "core/node/tracks.go", "if t.Weighted && !t.IsNumber() || status != health.Down {", "if t.Weighted && !t.IsNumber() || status == health.Up {"},
	{"a weight is ignored", "core/node/tracks.go", "p += t.Weight\n", "p += 0\n"},
	{"a stop does not hand over", "core/node/instance.go", "n.handover(now, i, true)", "n.step(now, i, vrrp.Stop{})"},
}
