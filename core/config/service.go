package config

import (
	"math"
	"net/netip"
	"slices"
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/node"
)

// service is one block `virtual_server`, with the places that the cross-checks need.
type service struct {
	node.Service
	at hcl.Range // of the address
}

// schedulers are the kernel's (net/netfilter/ipvs/Kconfig).
func schedulers() []string {
	return []string{"rr", "wrr", "lc", "wlc", "fo", "ovf", "lblc", "lblcr", "dh", "sh", "mh", "sed", "nq", "twos"}
}

func (l *loading) readServices(kids map[string][]kid) {
	for _, k := range kids["virtual_server"] {
		b := l.open(k, serviceSpec(), false)
		s := &service{at: b.where("address"), Service: node.Service{Name: k.Labels[0], Notify: l.defaults.notify}}
		if b.given("notify") {
			s.Notify = b.notify()
		}
		s.Service.Service = b.virtualService()
		s.Quorum = b.integer("quorum", 1, 1, math.MaxInt32, "The total weight that counts as up is at least 1.")
		s.readRealServers(b)
		l.services = append(l.services, s)
	}
}

// virtualService reads what IPVS holds for the service.
func (b *block) virtualService() desired.Service {
	b.required("address", `"10.0.0.100:80"`)
	b.required("forward", `"dr" (or "nat" or "tun")`)
	s := desired.Service{Granularity: 32}
	if v, ok := b.take("address"); ok {
		s.Address = b.endpoint(v, "address")
	}
	s.Protocol = desired.Protocol(b.choice("protocol", "tcp", "tcp", "udp", "sctp"))
	s.Scheduler = b.choice("scheduler", "wlc", schedulers()...)
	s.Persistence = b.duration("persistence", 0, span{0, 86400 * 31 * time.Second, time.Second, "The kernel counts persistence in whole seconds, 0s for none, to 744h."})
	s.Granularity = b.integer("persistence_granularity", 32, 1, 32, "It is the length of the netmask that groups clients, 1 to 32.")
	if b.given("persistence_granularity") && s.Persistence == 0 && !b.given("persistence") {
		b.warn(b.where("persistence_granularity"), "persistence_granularity without persistence").because("It groups clients for persistence, which is off.")
	}
	return s
}

// endpoint reads an address with a port.
func (b *block) endpoint(v value, name string) netip.AddrPort {
	text := b.text(name, "")
	return b.parseEndpoint(text, v.at, name)
}

func (b *block) parseEndpoint(text string, at hcl.Range, name string) netip.AddrPort {
	e, err := netip.ParseAddrPort(text)
	if err != nil || e.Port() == 0 {
		hint := `Write an address and a port, like "10.0.0.1:80".`
		if a, err := netip.ParseAddr(text); err == nil {
			hint = "The port is missing. Write \"" + netip.AddrPortFrom(a, 80).String() + "\" for port 80."
		} else if p, err := netip.ParsePrefix(text); err == nil {
			hint = "A prefix length does not belong here. Write \"" + netip.AddrPortFrom(p.Addr(), 80).String() + "\" for port 80."
		}
		b.fault(at, "%s %q is no address with a port", name, text).because("%s", hint)
		return netip.AddrPort{}
	}
	if !b.ipv4(e.Addr(), at, name).IsValid() {
		return netip.AddrPort{}
	}
	return e
}

// readRealServers reads the servers, and ties the checks to them.
func (s *service) readRealServers(b *block) {
	common := b.serverChecks()
	forward := desired.Forward(b.choice("forward", "", "dr", "nat", "tun"))
	inhibit := b.flag("inhibit_on_failure", false)
	places := map[netip.AddrPort]hcl.Range{}
	for _, r := range b.nested("real_server", realServerSpec()) {
		d := r.destination(forward)
		own := r.serverChecks()
		if !d.Address.IsValid() {
			continue
		}
		if first, ok := places[d.Address]; ok {
			r.fault(r.label, "real_server %v is declared twice", d.Address).because("It is declared at %s already.", place(first))
			continue
		}
		places[d.Address] = r.label
		s.checkPort(r, d)
		if !slices.ContainsFunc(r.kids, func(k *hcl.Block) bool { return k.Type == "check" }) {
			own = common
		}
		server := node.RealServer{Destination: d, Inhibit: r.flag("inhibit_on_failure", inhibit)}
		server.Checks = b.tie(s.Name, d.Address, own)
		s.RealServers = append(s.RealServers, server)
	}
	if !b.has("real_server") && !b.diags.HasErrors() { // a dynamic block may have failed
		b.warn(b.at, "%s has no real_server", b.name).because("Nobody answers its connections. Add a block like real_server \"10.0.0.11:80\" {}")
	}
}

// destination reads what IPVS holds for a real server.
func (b *block) destination(forward desired.Forward) desired.Destination {
	d := desired.Destination{
		Address: b.parseEndpoint(b.labels[0], b.label, "real_server"),
		Forward: desired.Forward(b.choice("forward", string(forward), "dr", "nat", "tun")),
		Weight:  b.integer("weight", 1, 0, 65535, "A weight is 0 to 65535; 0 takes no new connections."),
	}
	const why = "The number of connections is 0, for no limit, to 4294967295."
	d.UpperThreshold = uint32(b.integer("upper_threshold", 0, 0, math.MaxUint32, why))
	d.LowerThreshold = uint32(b.integer("lower_threshold", 0, 0, math.MaxUint32, why))
	if d.LowerThreshold > d.UpperThreshold {
		b.fault(b.where("lower_threshold"), "lower_threshold is above upper_threshold").because(
			"The server is full at upper_threshold, and takes connections again below lower_threshold.")
	}
	return d
}

// checkPort reports a port that the forwarding method cannot change.
func (s *service) checkPort(b *block, d desired.Destination) {
	port := s.Service.Service.Address.Port()
	if port == 0 || d.Forward == desired.NAT || d.Forward == "" || d.Address.Port() == port {
		return
	}
	b.fault(b.label, "real_server %v has another port than the service", d.Address).because(
		"With forward = %q packets reach the server as they are, for port %d. Write \"%v\", or use forward = \"nat\".",
		d.Forward, port, netip.AddrPortFrom(d.Address.Addr(), port))
}

// tie makes the checks of one real server.
func (l *loading) tie(service string, server netip.AddrPort, checks []serverCheck) []node.ServerCheck {
	out := make([]node.ServerCheck, 0, len(checks))
	for n, c := range checks {
		id := checkID(service, server, n)
		out = append(out, node.ServerCheck{Check: id, Health: c.health})
		l.cfg.Checks = append(l.cfg.Checks, Check{
			ID: id, Kind: c.kind, Name: service + " " + server.String(), Config: c.config, Target: server,
			Interval: c.timing.interval, Timeout: c.timing.timeout, RetryInterval: c.timing.retry,
		})
	}
	return out
}
