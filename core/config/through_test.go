package config

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/node"
)

const throughNodes = "node \"lb1\" { address = \"10.0.0.1\" }\nnode \"lb2\" { address = \"10.0.0.2\" }\n"

// throughService is a virtual server whose check holds the text, with a few real servers of the port.
func throughService(name, address, check string, servers ...string) string {
	text := "virtual_server \"" + name + "\" {\n  address = \"" + address + "\"\n  forward = \"dr\"\n"
	for _, s := range servers {
		text += "  real_server \"" + s + "\" {}\n"
	}
	return text + "  check \"http\" {\n" + check + "\n  }\n}\n"
}

func checksOf(c *Config) map[string]Check {
	all := map[string]Check{}
	for _, k := range c.Checks {
		all[k.ID] = k
	}
	return all
}

func TestACheckThroughTheVIP(t *testing.T) {
	two := throughNodes + throughService("web", "10.0.0.100:80", "through_vip = true", "10.0.0.11:80", "10.0.0.12:80")
	c := mustLoad(t, two, "lb2")
	checks := checksOf(c)
	first, second := checks["server/web/10.0.0.11:80/0"], checks["server/web/10.0.0.12:80/0"]
	if want := netip.MustParseAddrPort("10.0.0.100:80"); first.Target != want || second.Target != want {
		t.Errorf("the checks go to %v and %v, want the VIP %v", first.Target, second.Target, want)
	}
	if want := netip.MustParseAddr("10.0.0.2"); first.Source != want {
		t.Errorf("the check comes from %v, want %v, the address of this node", first.Source, want)
	}
	if first.Mark&desired.ProbeMarksMask != desired.ProbeMarks || first.Mark == second.Mark {
		t.Errorf("the marks are %#x and %#x, want two of ours", first.Mark, second.Mark)
	}
	ways := map[uint32]node.Probe{}
	for _, p := range c.Node.Probes {
		ways[p.Mark] = p
	}
	for _, k := range []Check{first, second} {
		server := netip.MustParseAddrPort(strings.TrimPrefix(k.Name, "web "))
		d := ways[k.Mark].Destination
		if d.Address != netip.AddrPortFrom(server.Addr(), 0) || d.Forward != desired.DR || ways[k.Mark].Source != k.Source {
			t.Errorf("the way of %s is %+v", k.Name, ways[k.Mark])
		}
	}
	if len(ways) != 2 {
		t.Errorf("there are %d ways, want 2", len(ways))
	}
}

func TestAMarkStaysWhenOthersCome(t *testing.T) {
	mark := func(text string) uint32 {
		return checksOf(mustLoad(t, throughNodes+text, "lb1"))["server/web/10.0.0.12:80/0"].Mark
	}
	one := mark(throughService("web", "10.0.0.100:80", "through_vip = true", "10.0.0.12:80"))
	more := mark(throughService("other", "10.0.0.101:80", "through_vip = true", "10.0.0.10:80", "10.0.0.13:80") +
		throughService("web", "10.0.0.100:80", "through_vip = true", "10.0.0.11:80", "10.0.0.12:80"))
	if one != more || one == 0 {
		t.Errorf("the mark was %#x and is %#x, want the same", one, more)
	}
}

func TestServicesOfOneServerShareItsWay(t *testing.T) {
	c := mustLoad(t, throughNodes+throughService("web", "10.0.0.100:80", "through_vip = true", "10.0.0.11:80")+
		throughService("tls", "10.0.0.100:443", "through_vip = true", "10.0.0.11:443"), "lb1")
	checks := checksOf(c)
	a, b := checks["server/web/10.0.0.11:80/0"], checks["server/tls/10.0.0.11:443/0"]
	if len(c.Node.Probes) != 1 || a.Mark != b.Mark || b.Target.Port() != 443 {
		t.Errorf("the marks are %#x and %#x in %d ways, want the same in one; the second goes to %v", a.Mark, b.Mark, len(c.Node.Probes), b.Target)
	}
}

func TestThroughTheVIPTheBlockMayNameItsEnds(t *testing.T) {
	c := mustLoad(t, throughNodes+throughService("web", "10.0.0.100:80",
		"through_vip = true\naddress = \"10.0.0.101\"\nport = 8080\nsource = \"10.9.9.9\"", "10.0.0.11:80"), "lb1")
	k := c.Checks[0]
	if k.Target != netip.MustParseAddrPort("10.0.0.101:8080") || k.Source != netip.MustParseAddr("10.9.9.9") {
		t.Errorf("the check goes from %v to %v", k.Source, k.Target)
	}
}

func TestThroughAServiceByMarkTheCheckNamesTheAddress(t *testing.T) {
	byMark := func(check string) string {
		return strings.Replace(throughNodes+throughService("web", "", "through_vip = true\n"+check, "10.0.0.11:80"), `address = ""`, "fwmark = 7", 1)
	}
	c, warnings := loadText(t, byMark(`address = "10.0.0.100:80"`), Options{Node: "lb1", Plugins: plugins()})
	if c == nil {
		t.Fatal(textOf(warnings))
	}
	if k := c.Checks[0]; k.Target != netip.MustParseAddrPort("10.0.0.100:80") || k.Mark == 7 || k.Mark == 0 {
		t.Errorf("the check goes to %v with the mark %#x, want the address with a mark of ours", k.Target, k.Mark)
	}
	_, diags := loadText(t, byMark(""), Options{Node: "lb1", Plugins: plugins()})
	if want := "the virtual_server has no single address and port"; !strings.Contains(flat(diags), want) {
		t.Errorf("without an address Load says %q, want %q", flat(diags), want)
	}
}

func TestAPlainCheckIsNotTouched(t *testing.T) {
	c := mustLoad(t, throughNodes+throughService("web", "10.0.0.100:80", "through_vip = false", "10.0.0.11:80"), "lb1")
	if k := c.Checks[0]; k.Mark != 0 || k.Source.IsValid() || k.Target != netip.MustParseAddrPort("10.0.0.11:80") || len(c.Node.Probes) > 0 {
		t.Errorf("the check is %+v with the ways %v", k, c.Node.Probes)
	}
}

func TestTakenMarksAreLeftAlone(t *testing.T) {
	taken := map[uint32]bool{}
	first := freeMark("a server", taken)
	if second := freeMark("a server", taken); second == first || second&desired.ProbeMarksMask != desired.ProbeMarks {
		t.Errorf("the marks are %#x and %#x, want two of ours", first, second)
	}
	if all := (map[uint32]bool{desired.ProbeMarks | 0xffffff: true}); freeMark("x", all) == desired.ProbeMarks|0xffffff {
		t.Error("a mark in use is given again")
	}
}

func TestFaultsOfChecksThroughTheVIP(t *testing.T) {
	web := func(check string) string {
		return throughService("web", "10.0.0.100:80", "through_vip = true\n"+check, "10.0.0.11:80")
	}
	for _, c := range []struct{ name, text, want string }{
		{"of a server that is reached by NAT", strings.Replace(throughNodes+web(""), `"dr"`, `"nat"`, 1), `through_vip with forward = "nat"`},
		{"with a mark of its own", throughNodes + web("fwmark = 7"), "fwmark with through_vip"},
		{"by a device of its own", throughNodes + web(`device = "eth0"`), "device with through_vip"},
		{"from an unknown address", web(""), "no address of this node is known"},
		{"from the other family", throughNodes + web(`source = "2001:db8::1"`), "source and the VIP are of different families"},
		{
			"from a VIP", throughNodes + instanceWith("web", "virtual_address \"10.0.0.100/32\" {}\npriority = { lb1 = 150, lb2 = 100 }") +
				web(`source = "10.0.0.100"`), "source 10.0.0.100 is a VIP",
		},
		{"of this node itself", throughNodes + "checker \"http\" \"x\" {\n  through_vip = true\n}\n", "through_vip in a check of this node"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, diags := loadText(t, c.text, Options{Node: "lb1", Plugins: plugins()})
			if got := flat(diags); !diags.HasErrors() || !strings.Contains(got, c.want) {
				t.Errorf("Load says %q, want %q", got, c.want)
			}
		})
	}
}
