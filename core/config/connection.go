package config

import (
	"math"
	"net/netip"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// connection is how a check reaches its target: what keepalived calls connect_ip, connect_port, bindto, bind_if and fwmark.
type connection struct {
	address netip.Addr // instead of the real server's; invalid for that
	port    uint16     // instead of the real server's; 0 for that
	source  netip.Addr // invalid for the kernel's choice
	device  string     // empty for the one of the route
	mark    uint32     // 0 for none
	through bool       // the VIP, as the packets of clients come
}

// connectionSpec has the attributes of a connection that the plugin has not taken for itself: there the plugin's meaning holds.
func connectionSpec(s *pluginv1.Schema) spec {
	var out spec
	for _, name := range []string{"address", "port", "source", "device", "fwmark", "through_vip"} {
		if !declares(s, name) {
			out.attrs = append(out.attrs, name)
		}
	}
	return out
}

func declares(s *pluginv1.Schema, name string) bool {
	for _, a := range s.GetAttributes() {
		if a.GetName() == name {
			return true
		}
	}
	for _, b := range s.GetBlocks() {
		if b.GetName() == name {
			return true
		}
	}
	return false
}

// connection takes the attributes of a connection.
func (c *component) connection() connection {
	var x connection
	if c.schema == nil { // of an unknown plugin nobody knows whose attributes they are
		return x
	}
	own := func(name string) bool { return !declares(c.schema, name) && c.given(name) }
	if own("address") {
		x.address, x.port = c.destination("address")
	}
	if own("port") {
		x.port = c.port(x.port)
	}
	if own("source") {
		x.source = c.address("source")
	}
	if own("device") {
		x.device = c.deviceName()
	}
	if own("fwmark") {
		x.mark = uint32(c.integer("fwmark", 0, 1, math.MaxUint32, "A mark is a number, 1 to 4294967295."))
	}
	x.through = own("through_vip") && c.flag("through_vip", false)
	return x
}

// destination takes an address, with or without a port.
func (c *component) destination(name string) (netip.Addr, uint16) {
	v, ok := c.take(name)
	if !ok {
		return netip.Addr{}, 0
	}
	s, err := convert.Convert(v.Value, cty.String)
	if err != nil {
		c.wrongType(v.at, name, `an address like "10.0.0.1" or "10.0.0.1:80"`, v.Value)
		return netip.Addr{}, 0
	}
	if e, err := netip.ParseAddrPort(s.AsString()); err == nil {
		return e.Addr().Unmap(), e.Port()
	}
	a, err := netip.ParseAddr(s.AsString())
	if err != nil {
		c.fault(v.at, "%s %q is no address", name, s.AsString()).because(
			`Write it like "10.0.0.1", "10.0.0.1:80" or "[2001:db8::1]:80". A name is not looked up here.`)
	}
	return a.Unmap(), 0
}

// port takes the port; before is that of address.
func (c *component) port(before uint16) uint16 {
	port := uint16(c.integer("port", 0, 1, math.MaxUint16, "A port is 1 to 65535."))
	if before != 0 && port != 0 && port != before {
		c.fault(c.where("port"), "port and the port of address differ").because("Keep one of the two.")
	}
	return port
}

// deviceName takes the name of an interface (15 bytes are what the kernel holds).
func (c *component) deviceName() string {
	name := c.text("device", "")
	if c.given("device") && (name == "" || len(name) > 15) {
		c.fault(c.where("device"), "device %q is no interface", name).because("The name of an interface has 1 to 15 characters.")
	}
	return name
}

// connect ties the check to a target, by the connection that its block asks for.
func (c *Check) connect(how connection, target netip.AddrPort, b *block) {
	c.Source, c.Device, c.Mark = how.source, how.device, how.mark
	switch {
	case how.through && target.IsValid(): // the rest when all is known: see probeThrough
		b.goThrough(c.ID, how)
	case how.through:
		b.fault(b.where("through_vip"), "through_vip in a check of this node").because("It is for the block check of a virtual_server or real_server.")
	default:
		c.Target = how.to(target, b)
	}
}

// to is where a check of a target goes; for a check of the node itself the target is invalid. What cannot be is reported.
func (x connection) to(target netip.AddrPort, b *block) netip.AddrPort {
	switch {
	case x.address.IsValid() && (x.port != 0 || !target.IsValid()):
		target = netip.AddrPortFrom(x.address, x.port)
	case x.address.IsValid():
		target = netip.AddrPortFrom(x.address, target.Port())
	case x.port != 0 && target.IsValid():
		target = netip.AddrPortFrom(target.Addr(), x.port)
	case x.port != 0:
		b.fault(b.where("port"), "port without address").because(
			"A check of this node has no address of its own. Write address = \"127.0.0.1\" as well, or the attribute that the plugin has for it.")
	}
	if x.source.IsValid() && target.IsValid() && x.source.Is4() != target.Addr().Is4() {
		b.fault(b.where("source"), "source and target are of different families").because(
			"The check goes from %v to %v: both are addresses of IPv4, or both of IPv6.", x.source, target)
	}
	return target
}
