package config

import (
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/event"
	"github.com/vipward/vipward/core/health"
	"github.com/vipward/vipward/core/node"
)

// service is one block `virtual_server`, with the places that the cross-checks need.
type service struct {
	node.Service
	at     hcl.Range     // of the address
	spans  []addressSpan // what stands in addresses
	checks []serverCheck // all that its block has
	// serverAt are the places of the real servers.
	serverAt map[netip.AddrPort]hcl.Range
}

// schedulers are the kernel's (net/netfilter/ipvs/Kconfig).
func schedulers() []string {
	return []string{"rr", "wrr", "lc", "wlc", "fo", "ovf", "lblc", "lblcr", "dh", "sh", "mh", "sed", "nq", "twos"}
}

func (l *loading) readServices(kids map[string][]kid) {
	for _, k := range kids["virtual_server"] {
		b := l.open(k, serviceSpec(), false)
		s := &service{Service: node.Service{Name: k.Labels[0], Notify: l.defaults.notify}}
		if b.given("notify") {
			s.Notify = b.notify()
		}
		s.readAddress(b)
		s.readMethod(b)
		s.readRealServers(b)
		s.readSorry(b)
		s.readQuorum(b)
		s.readPool(b)
		l.services = append(l.services, s)
	}
}

// readMethod reads how IPVS chooses a server.
func (s *service) readMethod(b *block) {
	b.required("forward", `"dr" (or "nat" or "tun")`)
	v := &s.Service.Service
	v.Scheduler = b.choice("scheduler", "wlc", schedulers()...)
	if b.opt.Scheduler != nil {
		if why := b.opt.Scheduler(v.Scheduler); why != "" {
			b.warn(b.where("scheduler"), "this machine lacks the scheduler %q", v.Scheduler).because("%s; until then IPVS refuses the service here, and the others go on.", why)
		}
	}
	v.Flags = b.schedulerFlags(v.Scheduler)
	if b.flag("one_packet", false) {
		v.Flags |= desired.OnePacket
		if v.Mark == 0 && v.Protocol != desired.UDP {
			b.fault(b.where("one_packet"), "one_packet with protocol = %q", v.Protocol).because(
				"A packet by itself is something with UDP only: a connection would be torn between servers. Write protocol = \"udp\", or remove it.")
		}
	}
	v.Persistence = b.duration("persistence", 0, span{0, 86400 * 31 * time.Second, time.Second, "The kernel counts persistence in whole seconds, 0s for none, to 744h."})
	bits := v.Address.Addr().BitLen()
	if bits == 0 {
		bits = 32
	}
	v.Granularity = b.integer("persistence_granularity", bits, 1, bits,
		"It is the length of the netmask that groups clients, 1 to "+strconv.Itoa(bits)+".")
	if b.given("persistence_granularity") && v.Persistence == 0 && !b.given("persistence") {
		b.warn(b.where("persistence_granularity"), "persistence_granularity without persistence").because("It groups clients for persistence, which is off.")
	}
	v.Engine = b.choice("persistence_engine", "", "sip")
	switch {
	case v.Engine == "":
	case v.Persistence == 0:
		b.fault(b.where("persistence_engine"), "persistence_engine without persistence").because(
			"It says what persistence goes by, which is off. Add, for example, persistence = \"300s\".")
	case v.Mark == 0 && v.Protocol != desired.UDP:
		b.fault(b.where("persistence_engine"), "persistence_engine = %q with protocol = %q", v.Engine, v.Protocol).because(
			"The kernel reads the call of SIP over UDP only. Write protocol = \"udp\", or remove it.")
	}
}

// schedulerFlags takes the flags of the scheduler, by the names that ipvsadm has for them.
func (b *block) schedulerFlags(scheduler string) desired.ServiceFlags {
	var flags desired.ServiceFlags
	known := map[string]desired.ServiceFlags{
		"sh-port": desired.SourcePort, "sh-fallback": desired.Fallback, "mh-port": desired.SourcePort, "mh-fallback": desired.Fallback,
	}
	names, places := b.names("scheduler_flags")
	for k, name := range names {
		flag, ok := known[name]
		switch {
		case !ok:
			b.fault(places[k], "no flag %q of a scheduler", name).because("The flags are %s.%s", list(sorted(known)), suggest(name, sorted(known)))
		case !strings.HasPrefix(name, scheduler+"-"):
			b.fault(places[k], "flag %q with scheduler = %q", name, scheduler).because(
				"It is one of the scheduler %s. Write scheduler = %q, or remove the flag.", name[:2], name[:2])
		default:
			flags |= flag
		}
	}
	return flags
}

// readQuorum reads when the service counts as up, and who hears of it.
func (s *service) readQuorum(b *block) {
	s.Quorum = b.integer("quorum", 1, 1, math.MaxInt32, "The total weight that counts as up is at least 1.")
	s.Hysteresis = b.integer("hysteresis", 0, 0, math.MaxInt32, "It is a weight, from 0.")
	s.Omega = b.flag("omega", false)
	s.NotifyUp, s.NotifyDown = b.hears("quorum_up"), b.hears("quorum_down")
	if s.Hysteresis >= s.Quorum {
		b.fault(b.where("hysteresis"), "hysteresis is not below quorum").because(
			"The service goes down when the weight that is up is below quorum - hysteresis, which would be %d, and that never is. Make quorum more than %d.",
			s.Quorum-s.Hysteresis, s.Hysteresis)
		return
	}
	total := 0
	for _, r := range s.RealServers {
		total += r.Destination.Weight
		for _, k := range r.Checks {
			total += max(k.Weight, 0)
		}
	}
	if need := s.Quorum + s.Hysteresis; len(s.RealServers) > 0 && need > max(total, 1) {
		at := "quorum"
		if s.Hysteresis > 0 {
			at = "hysteresis"
		}
		b.warn(b.where(at), "the quorum is never reached").because(
			"It comes up with a weight of %d, and all real servers together have %d. Unless a check gives more weight, the service stays down.", need, total)
	}
}

// hears takes the notifiers of the service's coming up or going down. Who is named there hears of services in any case.
func (b *block) hears(name string) []string {
	names, places := b.names(name)
	for k, n := range names {
		i := slices.IndexFunc(b.cfg.Notifiers, func(c Notifier) bool { return c.Name == n })
		if i < 0 {
			b.noNotifier(places[k], n)
			continue
		}
		if c := &b.cfg.Notifiers[i]; !slices.Contains(c.Kinds, event.Service) {
			c.Kinds = append(slices.Clone(c.Kinds), event.Service)
		}
	}
	return names
}

// readPool reads what happens when servers come and go.
func (s *service) readPool(b *block) {
	if b.flag("alpha", false) {
		s.checkAlpha()
	}
	s.MaxEjected = b.percent("max_ejected", 100)
	if n := len(s.RealServers); n > 0 && n*s.MaxEjected < 100 {
		b.warn(b.where("max_ejected"), "max_ejected lets no server out").because(
			"%d %% of %d servers is less than one, so that a single failure is taken for one of our own network. Write at least \"%d%%\".",
			s.MaxEjected, n, (100+n-1)/n)
	}
	s.SlowStart = b.duration("slow_start", 0, span{0, time.Hour, 0, "It is 0s for none, to 1h."})
	light := slices.ContainsFunc(s.RealServers, func(r node.RealServer) bool { return r.Destination.Weight == 1 })
	if s.SlowStart > 0 && light {
		b.warn(b.where("slow_start"), "slow_start does nothing for a weight of 1").because(
			"The weight climbs from 1 to that of the server in whole numbers. Give all servers of the pool weights like 100.")
	}
	s.Service.Service.Drain = b.duration("drain_timeout", 5*time.Minute, span{0, 24 * time.Hour, 0, "It is 0s for at once, to 24h."})
	if d := b.single("damping", dampingSpec()); d != nil {
		long := span{time.Second, 24 * time.Hour, 0, "It is 1s to 24h."}
		s.Damping = node.Damping{
			Failures: d.integer("failures", 3, 2, 1000, "The number of failures is 2 to 1000."),
			Window:   d.duration("window", 5*time.Minute, long), Hold: d.duration("hold", time.Minute, long),
		}
	}
}

// checkAlpha reports the checks that would have a server up before it has passed.
func (s *service) checkAlpha() {
	for _, c := range s.checks {
		if c.health.Initial == health.Up {
			c.block.fault(c.block.where("initial"), "initial = \"up\" with alpha = true").because(
				"alpha keeps a server out until its first success, initial lets it in before. Remove one of them.")
		}
	}
}

// percent takes a share like "50%".
func (b *block) percent(name string, otherwise int) int {
	text := b.text(name, "")
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(strings.TrimSuffix(text, "%"))
	if err != nil || !strings.HasSuffix(text, "%") || n < 1 || n > 100 {
		b.fault(b.where(name), "%s %q is no share", name, text).because(`Write a whole number of percent from 1 to 100, like "50%%".`)
		return otherwise
	}
	return n
}

// endpoint reads an address with a port.
func (b *block) endpoint(v value, name string) netip.AddrPort {
	return b.parseEndpoint(b.text(name, ""), v.at, name)
}

func (b *block) parseEndpoint(text string, at hcl.Range, name string) netip.AddrPort {
	e, err := netip.ParseAddrPort(text)
	if err != nil || e.Port() == 0 || e.Addr().Zone() != "" {
		hint := `Write an address and a port, like "10.0.0.1:80" or "[2001:db8::1]:80".`
		if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
			hint = "The port is missing. Write \"" + netip.AddrPortFrom(a, 80).String() + "\" for port 80."
		} else if p, err := netip.ParsePrefix(text); err == nil {
			hint = "A prefix length does not belong here. Write \"" + netip.AddrPortFrom(p.Addr(), 80).String() + "\" for port 80."
		}
		b.fault(at, "%s %q is no address with a port", name, text).because("%s", hint)
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(e.Addr().Unmap(), e.Port())
}
