package config

import (
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/vipward/vipward/core/desired"
)

// maxKeys is how many services of IPVS one block can stand for. A service by firewall mark has no such limit.
const maxKeys = 4096

// addressSpan is a range of addresses with a range of ports.
type addressSpan struct {
	first, last         netip.Addr
	firstPort, lastPort uint16
}

// readAddress reads by what packets are found to be for the service.
func (s *service) readAddress(b *block) {
	v := &s.Service.Service
	v.Protocol = desired.Protocol(b.choice("protocol", "tcp", "tcp", "udp", "sctp"))
	mark := uint32(b.integer("fwmark", 0, 1, math.MaxUint32, "A mark is a number, 1 to 4294967295."))
	switch {
	case b.given("address") && (b.given("addresses") || b.given("fwmark")):
		b.fault(b.where("address"), "%s has address and %s", b.name, map[bool]string{true: "addresses", false: "fwmark"}[b.given("addresses")]).because(
			"Write one of them, or addresses and fwmark: then packets to the addresses get the mark.")
	case b.given("address"):
		s.at = b.where("address")
		if x, ok := b.take("address"); ok {
			v.Address = b.endpoint(x, "address")
		}
	case b.given("addresses"):
		s.at = b.where("addresses")
		s.readGroup(b, mark)
	case b.given("fwmark"):
		s.at = b.where("fwmark")
		s.readMark(b, mark)
	default:
		s.at = b.at
		b.required("address", `"10.0.0.100:80"`)
	}
}

// readMark reads a service whose packets somebody else marks. Its family is that of its real servers.
func (s *service) readMark(b *block, mark uint32) {
	if mark == 0 {
		return // reported
	}
	six := slices.ContainsFunc(b.kids.OfType("real_server"), func(k *hcl.Block) bool {
		e, err := netip.ParseAddrPort(k.Labels[0])
		return err == nil && e.Addr().Unmap().Is6()
	})
	s.Service.Service.ServiceKey = desired.Marked(mark, six)
	if b.given("protocol") {
		b.warn(b.where("protocol"), "protocol with fwmark").because("The service takes every packet with the mark, whatever its protocol. Remove it.")
	}
	b.warn(s.at, "nothing here gives packets the mark %d", mark).because(
		"Packets reach the service only if a rule of nftables or iptables marks them before IPVS sees them, in the hook prerouting. " +
			"Add addresses = [\"10.0.0.100:80\"], and vipward makes that rule.")
}

// readGroup reads a list of addresses: a service of IPVS for each, or one for the mark that they get.
func (s *service) readGroup(b *block, mark uint32) {
	v := &s.Service.Service
	names, places := b.names("addresses")
	for k, text := range names {
		g, hint := parseSpan(text)
		switch {
		case hint != "":
			b.fault(places[k], "addresses has %q, which is no address with a port", text).because("%s", hint)
		case len(s.spans) > 0 && g.first.Is6() != s.spans[0].first.Is6():
			b.fault(places[k], "addresses has IPv4 and IPv6").because("A service has one family. Write a virtual_server of its own for %s.", text)
		default:
			s.spans = append(s.spans, g)
		}
	}
	if len(s.spans) == 0 {
		if len(names) == 0 {
			b.fault(s.at, "addresses is empty").because("Write at least one, like addresses = [\"10.0.0.100:80\"].")
		}
		return
	}
	if mark > 0 {
		for _, g := range s.spans {
			s.Markings = append(s.Markings, desired.Marking{
				Mark: mark, Protocol: v.Protocol, First: g.first, Last: g.last, FirstPort: g.firstPort, LastPort: g.lastPort,
			})
		}
		v.ServiceKey = desired.Marked(mark, s.spans[0].first.Is6())
		return
	}
	keys := s.expand(v.Protocol)
	if len(keys) > maxKeys {
		b.fault(s.at, "addresses stand for more than %d services", maxKeys).because(
			"Each address with each port is one service of IPVS. Add fwmark = 1 (or another number that nothing else uses): then it is a single one.")
		return
	}
	v.ServiceKey, s.Also = keys[0], keys[1:]
}

// expand lists every address with every port, each once; a little more than maxKeys where there are more.
func (s *service) expand(p desired.Protocol) []desired.ServiceKey {
	seen := map[netip.AddrPort]bool{}
	var keys []desired.ServiceKey
	for _, g := range s.spans {
		for a := g.first; a.Compare(g.last) <= 0 && len(keys) <= maxKeys; a = a.Next() {
			for port := int(g.firstPort); port <= int(g.lastPort) && len(keys) <= maxKeys; port++ {
				if e := netip.AddrPortFrom(a, uint16(port)); !seen[e] {
					seen[e] = true
					keys = append(keys, desired.ServiceKey{Address: e, Protocol: p})
				}
			}
		}
	}
	return keys
}

// holdsPort tells whether a port is one of the service's.
func (s *service) holdsPort(port uint16) bool {
	if len(s.spans) == 0 {
		return s.Service.Service.Address.Port() == port
	}
	return slices.ContainsFunc(s.spans, func(g addressSpan) bool { return g.firstPort <= port && port <= g.lastPort })
}

// parseSpan reads "10.0.0.1:80", "10.0.0.1-10.0.0.9:80", "10.0.0.0/28:80-89", "[2001:db8::1]:80"; where it is none of these,
// the hint says what to write.
func parseSpan(text string) (g addressSpan, hint string) {
	const form = `Write it like "10.0.0.100:80", "10.0.0.100-10.0.0.103:80", "10.0.0.0/28:80-89" or "[2001:db8::1]:80".`
	k := strings.LastIndexByte(text, ':')
	if k < 0 {
		return g, "The port is missing. " + form
	}
	host, ports := text[:k], text[k+1:]
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		host = host[1 : len(host)-1]
	} else if strings.Contains(host, ":") {
		return g, "An IPv6 address stands in brackets. " + form
	}
	from, to, ranged := strings.Cut(ports, "-")
	first, err := strconv.ParseUint(from, 10, 16)
	last := first
	if ranged && err == nil {
		last, err = strconv.ParseUint(to, 10, 16)
	}
	if err != nil || first == 0 || last < first {
		return g, "Ports are 1 to 65535, a range goes up. " + form
	}
	g.firstPort, g.lastPort = uint16(first), uint16(last)
	if p, err := netip.ParsePrefix(host); err == nil {
		g.first = p.Masked().Addr()
		g.last = lastOf(p)
		return g, ""
	}
	from, to, ranged = strings.Cut(host, "-")
	if g.first, err = netip.ParseAddr(from); err == nil {
		g.last = g.first
		if ranged {
			g.last, err = netip.ParseAddr(to)
		}
	}
	switch {
	case err != nil || g.first.Zone() != "" || g.last.Zone() != "":
		return g, form
	case g.first.BitLen() != g.last.BitLen() || g.last.Less(g.first):
		return g, "A range goes up, within one family. " + form
	}
	return g, ""
}

// lastOf is the last address of a network.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for k := p.Bits(); k < len(b)*8; k++ {
		b[k/8] |= 1 << (7 - k%8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}
