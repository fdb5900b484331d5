package config

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/node"
)

func TestRoutesAndRules(t *testing.T) {
	c := mustLoad(t, instanceWith("web", `
  virtual_address "10.0.0.100/32" {}
  virtual_route "10.1.0.0/16" { via = "10.0.0.254" }
  virtual_route "0.0.0.0/0" {
    via       = "10.0.0.254"
    interface = "eth1"
    table     = 100
    metric    = 7
    source    = "10.0.0.100"
    scope     = "link"
    mtu       = 1400
    onlink    = true
    track     = false
  }
  virtual_route "2001:db8::/32" {
    type  = "blackhole"
    table = "local"
  }
  virtual_rule {
    priority = 50
    from     = "10.0.0.100"
    to       = "10.9.0.0/16"
    iif      = "eth1"
    oif      = "eth0"
    fwmark   = "0x10/0xff"
    table    = 100
    track    = false
  }
  virtual_rule {
    priority = 51
    from     = "2001:db8::/32"
    type     = "prohibit"
  }
  virtual_rule {
    priority = 52
    family   = "ipv6"
    fwmark   = 1
    table    = "main"
  }
  virtual_rule {
    priority = 53
    from     = "0.0.0.0/0"
    table    = "4000"
  }`), "a")
	i := c.Node.Instances[0]
	wantRoutes := []node.Route{
		{Route: desired.Route{Prefix: netip.MustParsePrefix("10.1.0.0/16"), Type: "unicast", Via: netip.MustParseAddr("10.0.0.254"), Table: 254}},
		{Untracked: true, Route: desired.Route{
			Prefix: netip.MustParsePrefix("0.0.0.0/0"), Type: "unicast", Via: netip.MustParseAddr("10.0.0.254"), Interface: "eth1", Table: 100, Metric: 7,
			Source: netip.MustParseAddr("10.0.0.100"), Scope: "link", MTU: 1400, OnLink: true,
		}},
		{Route: desired.Route{Prefix: netip.MustParsePrefix("2001:db8::/32"), Type: "blackhole", Table: 255}},
	}
	if fmt.Sprint(i.Routes) != fmt.Sprint(wantRoutes) {
		t.Errorf("the routes are\n%+v, want\n%+v", i.Routes, wantRoutes)
	}
	wantRules := []node.Rule{
		{Untracked: true, Rule: desired.Rule{
			Priority: 50, From: netip.MustParsePrefix("10.0.0.100/32"), To: netip.MustParsePrefix("10.9.0.0/16"), In: "eth1", Out: "eth0", Mark: 16, Mask: 255,
			Type: "lookup", Table: 100,
		}},
		{Rule: desired.Rule{IPv6: true, Priority: 51, From: netip.MustParsePrefix("2001:db8::/32"), Type: "prohibit"}},
		{Rule: desired.Rule{IPv6: true, Priority: 52, Mark: 1, Mask: 0xffffffff, Type: "lookup", Table: 254}},
		{Rule: desired.Rule{Priority: 53, Type: "lookup", Table: 4000}},
	}
	for k, want := range wantRules {
		if i.Rules[k] != want {
			t.Errorf("rule %d is %+v, want %+v", k, i.Rules[k], want)
		}
	}
}
