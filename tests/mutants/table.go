package main

// mutant is a small change to the code that makes it wrong. Some test must notice.
type mutant struct {
	name      string
	file      string
	old, new_ string // old is there exactly once
}

// mutants of the election, of what a node makes of it, of the leases, and of what is asked before a takeover. A change of the code that makes one of them no longer
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
	{"a stall is not noticed", "core/vrrp/master.go", "now.Sub(r.deadline) > 2*r.cfg.Interval\n", "now.Sub(r.deadline) > 2*time.Hour\n"},
	{"who is alone steps down after a stall", "core/vrrp/master.go", "|| now.Sub(r.sent) <= r.alone {", "{"},
	{"who was alone before a stall is so after it", "core/node/member.go", "n.hasten(i)\n\t\t\tn.solitude(now, i)", "n.hasten(i)"},
	{"a stall leaves the group", "core/vrrp/master.go", "r.gate.follows = r.cfg.Gated //", "//"},
	{"the rest after a hand-over lasts too long", "core/vrrp/handover.go", "lingerTime = 50 * time.Millisecond", "lingerTime = 5000 * time.Millisecond"},
	{"nothing is announced again after a heal", "core/vrrp/master.go", "func (r *Router) reannounce(now time.Time) {", "func (r *Router) reannounce(now time.Time) {\n\treturn\n}\n\nfunc (r *Router) unused(now time.Time) {"},
	{"a loser is silent", "core/vrrp/master.go", "tell: true}", "tell: false}"},
	{"a new master announces nothing", "core/vrrp/master.go", "r.counters.BecameMaster++\n\tr.announce(now)", "r.counters.BecameMaster++"},
	{"a new master is silent for an interval", "core/vrrp/master.go", "r.send(now, r.effective)\n\tr.enter(now, Master, reason)", "r.enter(now, Master, reason)"},
	{"a master never yields to a better one", "core/vrrp/master.go", "case a.Priority > r.effective:", "case a.Priority > r.effective && r.cfg.StartMaster:"},
	{"both lose a tie", "core/vrrp/master.go", "a.Priority == r.effective && order > 0\n", "a.Priority == r.effective\n"},
	{"a sleeper does not read first", "core/vrrp/backup.go", "if !r.late && late > lateGrace {", "if false {"},
	{"an interval of 0 is accepted", "core/vrrp/advert.go", "if a.Interval == 0 {", "if false {"},
	{"a wrong checksum is accepted", "core/vrrp/advert.go", "if !ok {\n\t\treturn Advert{}, ReasonChecksum\n\t}", "_ = ok"},
	{"forwarded adverts are accepted", "core/vrrp/receive.go", "case h.TTL < least:", "case h.TTL < least-1:"},
	{"two missed adverts are enough", "core/vrrp/timer.go", "return 3*interval +", "return 2*interval +"},
	{"a wrong clock makes a second master", "core/vrrp/clock.go", "return r.unsure.addr.IsValid() && now.Sub(r.unsure.last) < r.MasterDown()", "return false"},
	{"a clock set back makes a second master", "core/vrrp/replay.go", "case seq != m.stale && m.again < againMost:", "case false:"},
	{"a hand-over lets go first", "core/vrrp/router.go", "return r.state == Master || !r.linger.until.IsZero()", "return r.state == Master && !r.handover.active()"},
	{"an owner waits for preempt_delay", "core/vrrp/backup.go", "case r.effective == 255:\n\t\treturn !now.Before(r.deferred)", "case r.effective == 255 && r.cfg.PreemptDelay == 0:\n\t\treturn !now.Before(r.deferred)"},
	{"a reload restarts the routers", "core/vrrp/reconfigure.go", "if cfg.VRID != r.cfg.VRID ||", "if true ||"},
	{"a reload winds up the timers", "core/vrrp/reconfigure.go", "if cfg.Interval != old.Interval {", "if true {"},

	{"a lease is not renewed", "core/node/lease.go", "lease > 0 && now.Sub(i.wished) >= renewal(lease) {", "lease > 0 && now.Sub(i.wished) >= 100*renewal(lease) {"},
	{"a renewal is told too late", "core/node/lease.go", "(lease != time.Second || now.Sub(i.renewed) <= alongFor)", "true"},
	{"a hand-over does not renew", "core/node/lease.go", "if i.router.HandingOver() { //", "if false { //"},
	{"a lease outlasts a take-over", "core/node/lease.go", "lease = max((down - leaseMargin)", "lease = max((down + 2*time.Second)"},
	{"an address without a lease is adopted", "core/node/heir.go", "leased := n.cfg.Lone || i.lease(n.cfg.Lone) > 0", "leased := true"},
	{"a group is half adopted", "core/node/heir.go", "slices.ContainsFunc(mates, func(m *instance) bool { return !n.left(now, m) })", "!n.left(now, i)"},
	{"a long lease counts as a short one", "core/node/heir.go", "silence = max(silence, age)", "silence = max(silence, min(age, i.lease(false)))"},
	{"what a peer may have is adopted", "core/node/heir.go", "case !slices.ContainsFunc(mates, n.outlasts):", "case true:"},
	{"a fast lease outlasts the questions", "core/node/fastlease.go", "interval) - asks - fastMargin)", "interval) + asks)"},
	{"old adverts make a dead master live", "core/vrrp/backup.go", "r.armDown(r.came)", "r.arm(r.came.Add(r.MasterDown() + time.Hour))"},
	{"a sync group is half promoted", "core/node/gate.go", "return i.router.Wants() == \"\" && !i.isMaster() }) {", "return i.router.Wants() == \"\" && !i.isMaster() }) && false {"},
	{"a lease is long beside a live peer", "core/node/lease.go", "case i.remote:\n\t\treturn longLease", "case i.cfg.Lease.Auto:\n\t\treturn longLease"},
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

	// Evidence, row by row.
	{"a node that is cut off takes over", "core/guard/table.go", "case e.References == VoiceSilent:", "case false:"},
	{"a node without a link takes over", "core/guard/table.go", "case e.Cut != \"\":", "case false:"},
	{"a peer that says MASTER is not believed", "core/guard/table.go", "case e.Peer.Heard == VoiceHeard && e.Peer.Master:", "case false:"},
	{"a peer is never asked to let go", "core/guard/table.go", "case p.Outranked:\n\t\twhy =", "case p.Outranked && p.Isolated:\n\t\twhy ="},
	{"a resignation waits for evidence", "core/guard/table.go", "case e.Claim == ClaimResigned:", "case false:"},
	{"who answers for the VIP means nothing", "core/guard/table.go", "case WhoPeer:\n\t\treturn e.wedged(who)", "case WhoPeer:"},
	{"the end of the lease is not waited for", "core/guard/table.go", "e.Waited < until {", "e.Waited < 0 {"},
	{"a stranger keeps the VIP", "core/guard/table.go", "case WhoServer, WhoStranger:\n", "case WhoServer, WhoStranger:\n\t\treturn e.wedged(who)\n"},
	{"who should hold takes over all the same", "core/node/gate.go", "default:\n\t\t\tn.refuseTakeover(now, i, verdict, of)", "default:\n\t\t\tn.takeOver(now, i)"},
	{"who should wait takes over all the same", "core/node/gate.go", "n.delay(i, verdict, of)", "n.takeOver(now, i)"},

	// Fencing.
	{"a takeover does not wait for the fencing", "core/guard/table.go", "case e.mode() == FencingBestEffort, e.Fence.State", "case true, e.Fence.State"},
	{"a successful shot is forgotten", "core/guard/fence.go", "f.enter(now, FenceConfirmed, evidence)", "f.enter(now, FenceWaiting, evidence)"},
	{"a second order beside the first", "core/guard/fence.go", "case len(f.open) > 0:", "case false:"},
	{"a node shoots itself", "core/guard/fence.go", "case f.node == f.self || f.node == \"\":", "case f.node == \"\":"},
	{"a node shoots whom it has never heard", "core/guard/fence.go", "case !f.seen:", "case false:"},
	{"a master shoots whom it has lost", "core/guard/fence.go", "if !w.Claims {", "if false {"},
	{"a node that is cut off shoots", "core/guard/fence.go", "w.Reason == \"\" || !w.Connected ||", "w.Reason == \"\" ||"},
	{"there is no end of tries", "core/guard/fence.go", "case len(f.shots) >= breakerShots:", "case false:"},
	{"who is heard is shot at", "core/node/fencing.go", "case m.alive(now, time.Time{}):\n\t\tcase !g.wanted", "case false:\n\t\tcase !g.wanted"},
	{"who was fenced takes part at once", "core/node/maintenance.go", "n.cfg.Guard.AutoRejoin || n.maintenance.On()", "true || n.maintenance.On()"},

	// The witness.
	{"what the witness refuses is taken", "core/guard/table.go", "v.Decision, v.Reason = Hold, v.Reason+\"; the witness refuses: \"+g.Text", "v.Decision, v.Reason = Take, v.Reason+g.Text"},
	{"a master holds on after its grant", "core/node/witness.go", "if master && !now.Before(g.until.Add(-grantMargin)) {", "if false {"},
	{"a dead master's kernel holds on after its grant", "core/node/witness.go", "return min(lease, max(g.until.Add(-grantMargin).Sub(confirmed).Truncate(time.Second), time.Second))", "return lease"},
	{"on_witness_loss = release means nothing", "core/node/witness.go", "case n.cfg.Guard.OnWitnessLoss != guard.WitnessRelease, g.until.IsZero():", "case true:"},
	{"nobody calls on a master that hears no heartbeats", "core/guard/table.go", "v.Call = v.Ask && !e.Peer.Master && e.Peer.Ignored >= AskLimit", "v.Call = false"},
	{"what came while it slept is forgotten", "core/node/suspicion.go", "suspected: i.doubtful(now), owners", "suspected: now, owners"},
	{"a grant is never given back", "core/node/witness.go", "n.askWitness(now, i, WitnessRelease)\n", ""},
	{"a backup renews the grant", "core/node/witness.go", "g.wanted = g.wanted && i.router.Wants() != \"\"\n", ""},
	{"a hand-over keeps the grant", "core/node/witness.go", "master := i.isMaster() && !i.router.HandingOver()", "master := i.isMaster()"},
	{"a grant counts from its answer on", "core/node/witness.go", "guard.GrantHeld, \"\", g.asked.Add(n.grantTTL()),", "guard.GrantHeld, \"\", now.Add(n.grantTTL()),"},

	// Heartbeats, and what a master makes of them.
	{"an old heartbeat counts", "core/node/member.go", "return msg.Seq > m.seq", "return true"},
	{"a new run need not prove itself", "core/node/member.go", "return proven\n", "return true\n"},
	{"a former run is believed", "core/node/member.go", "case slices.Contains(m.old, msg.Boot):", "case false:"},
	{"a dead peer lives for half a minute", "core/node/member.go", "now.Sub(m.heard) <= aliveFor", "now.Sub(m.heard) <= 100*aliveFor"},
	{"the newer ownership does not count", "core/guard/master.go", "if byEpoch && o.Epoch > 0 && p.Epoch > 0 {", "if false {"},
	{"a master that is cut off stays", "core/guard/master.go", "case lost && t.Heard == VoiceSilent && t.Configured >= 2:", "case false:"},
	{"a dead gateway moves the VIP", "core/guard/master.go", "case lost && alive && t.Reaches && t.Eligible:", "case lost && alive && t.Eligible:"},
	{"two masters stay", "core/guard/master.go", "two := alive && t.Master && (t.Parted ||", "two := false && t.Master && (t.Parted ||"},
	{"a master that nobody hears stays", "core/guard/master.go", "case lost && two && t.Reaches:", "case false:"},
	{"a long lease beside a peer that is back", "core/node/member.go", "if i.remote {\n\t\t\ti.remote,", "if false {\n\t\t\ti.remote,"},
	{"a question that was just put is answered by silence", "core/node/evidence.go", "case g.asked == 0 || open:", "case g.asked == 0:"},
	{"what was said before the takeover is a rival", "core/node/tenure.go", "c.ofMaster() && m.heard.After(i.router.Since())", "c.ofMaster()"},
	{"who yields to the announced holds on", "core/vrrp/master.go", "if !asleep && !r.cfg.Announced {", "if !asleep {"},
	{"a virtual MAC address moves before its VIPs", "core/node/instance.go", "if i.holds || !i.isMaster() || a.Priority == 0 || !i.router.Config().Announced", "if true || !i.router.Config().Announced"},
}
