package config

import (
	"fmt"
	"math"
	"net/netip"
	"slices"

	"github.com/hashicorp/hcl/v2"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/node"
)

// readRealServers reads the servers, and ties the checks to them.
func (s *service) readRealServers(b *block) {
	common := b.serverChecks()
	s.checks = common
	forward := desired.Forward(b.choice("forward", "", "dr", "nat", "tun"))
	inhibit := b.flag("inhibit_on_failure", false)
	servers := b.nested("real_server", realServerSpec())
	places := make(map[netip.AddrPort]hcl.Range, len(servers))
	s.serverAt, s.RealServers = places, make([]node.RealServer, 0, len(servers))
	for _, r := range servers {
		d := r.destination(forward)
		own := r.serverChecks()
		s.checks = append(s.checks, own...)
		if !d.Address.IsValid() {
			continue
		}
		if first, ok := places[d.Address]; ok {
			r.fault(r.label, "real_server %v is declared twice", d.Address).because("It is declared at %s already.", place(first))
			continue
		}
		places[d.Address] = r.label
		s.checkPort(r, d)
		s.checkServerFamily(r, d)
		if !slices.ContainsFunc(r.kids, func(k *hcl.Block) bool { return k.Type == "check" }) {
			own = common
		}
		server := node.RealServer{Destination: d, Inhibit: r.flag("inhibit_on_failure", inhibit)}
		if r.given("notify") {
			server.Notify = r.notify()
		}
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
	if t := b.single("tunnel", tunnelSpec()); t != nil {
		d.Tunnel = t.tunnel(d.Forward)
	}
	return d
}

// tunnel reads how packets to the server are wrapped.
func (b *block) tunnel(forward desired.Forward) desired.Tunnel {
	kind := b.choice("type", "ipip", "ipip", desired.GUE, desired.GRE)
	t := desired.Tunnel{
		Type: kind, Port: uint16(b.integer("port", 0, 1, math.MaxUint16, "A port is 1 to 65535.")),
		Checksum: b.choice("checksum", "none", "none", desired.FullChecksum, desired.RemoteChecksum),
	}
	switch {
	case forward != desired.TUN && forward != "":
		b.fault(b.at, "tunnel with forward = %q", forward).because("Packets go through a tunnel with forward = \"tun\" only. Write that, or remove the block.")
	case kind == desired.GUE && t.Port == 0 && !b.given("port"):
		b.fault(b.at, "tunnel of type \"gue\" without a port").because("GUE goes over UDP. Write the port that the real server listens on, as port = 6080.")
	case kind != desired.GUE && b.given("port"):
		b.fault(b.where("port"), "tunnel of type %q with a port", kind).because("Only GUE goes over UDP and has a port. Remove it, or write type = \"gue\".")
	case kind == "ipip" && t.Checksum != "none":
		b.fault(b.where("checksum"), "tunnel of type \"ipip\" with a checksum").because("IP in IP has no place for one. Remove it, or write type = \"gue\" or \"gre\".")
	case kind == desired.GRE && t.Checksum == desired.RemoteChecksum:
		b.fault(b.where("checksum"), "tunnel of type \"gre\" with a remote checksum").because("GUE alone has it. Write checksum = \"full\".")
	}
	if t.Type == "ipip" {
		t.Type = ""
	}
	if t.Checksum == "none" {
		t.Checksum = ""
	}
	return t
}

// checkPort reports a port that the forwarding method cannot change.
func (s *service) checkPort(b *block, d desired.Destination) {
	v := s.Service.Service
	if d.Forward == desired.NAT || d.Forward == "" || v.Mark > 0 && len(s.spans) == 0 || !v.Address.IsValid() || s.holdsPort(d.Address.Port()) {
		return
	}
	port := v.Address.Port()
	if len(s.spans) > 0 {
		port = s.spans[0].firstPort
	}
	b.fault(b.label, "real_server %v has another port than the service", d.Address).because(
		"With forward = %q packets reach the server as they are, for port %d. Write \"%v\", or use forward = \"nat\".",
		d.Forward, port, netip.AddrPortFrom(d.Address.Addr(), port))
}

// checkServerFamily reports a server of the other family than the service, which only a tunnel reaches.
func (s *service) checkServerFamily(b *block, d desired.Destination) {
	a := s.Service.Service.Address.Addr()
	if !a.IsValid() || d.Forward == "" || a.Is6() == d.Address.Addr().Is6() || d.Forward == desired.TUN {
		return
	}
	family := map[bool]string{true: "IPv6", false: "IPv4"}
	b.fault(b.label, "real_server %v is not of the family of the service", d.Address).because(
		"The service is over %s. With forward = %q packets are not wrapped, and IPVS translates no family into another. "+
			"Write an %s address, or use forward = \"tun\".", family[a.Is6()], d.Forward, family[a.Is6()])
}

// readSorry reads the server of last resort.
func (s *service) readSorry(b *block) {
	all := b.nested("sorry_server", sorrySpec())
	if len(all) == 0 {
		return
	}
	for _, more := range all[1:] {
		b.fault(more.at, "%s has more than one sorry_server", b.name).because("One is declared at %s already. Remove one of them.", place(all[0].at))
	}
	r := all[0]
	forward := b.choice("forward", "", "dr", "nat", "tun")
	d := desired.Destination{
		Address: r.parseEndpoint(r.labels[0], r.label, "sorry_server"), Weight: 1,
		Forward: desired.Forward(r.choice("forward", forward, "dr", "nat", "tun")),
	}
	if !d.Address.IsValid() {
		return
	}
	s.checkPort(r, d)
	s.checkServerFamily(r, d)
	s.Sorry = &node.Sorry{Destination: d, Inhibit: r.flag("inhibit", false)}
}

// tie makes the checks of one real server.
func (l *loading) tie(service string, server netip.AddrPort, checks []serverCheck) []node.ServerCheck {
	out := make([]node.ServerCheck, 0, len(checks))
	for n, c := range checks {
		id := checkID(service, server, n)
		out = append(out, node.ServerCheck{Check: id, Plugin: c.kind, Health: c.health, Weighted: c.weighted, Weight: c.weight})
		x := Check{
			ID: id, Kind: c.kind, Name: fmt.Sprintf("%s %v", service, server), Config: c.config,
			Interval: c.timing.interval, Timeout: c.timing.timeout, RetryInterval: c.timing.retry, Warmup: c.timing.warmup,
		}
		x.connect(c.how, server, c.block)
		l.cfg.Checks = append(l.cfg.Checks, x)
	}
	return out
}
