package config

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestAnIPv6Instance(t *testing.T) {
	c := mustLoad(t, instanceWith("web", `
  virtual_address "fe80::100/64" {}
  virtual_address "2001:db8::100/128" {}
  virtual_address "10.0.0.100/24" {
    advertised = false
    interface  = "eth1"
    label      = "eth1:web"
    scope      = "link"
  }`), "a")
	i := c.Node.Instances[0]
	if want := []netip.Addr{netip.MustParseAddr("fe80::100"), netip.MustParseAddr("2001:db8::100")}; !slices.Equal(i.VRRP.Addresses, want) || !i.VRRP.IPv6() {
		t.Errorf("advertised are %v, want %v", i.VRRP.Addresses, want)
	}
	if len(i.Addresses) != 3 || !i.Addresses[2].Silent || i.Addresses[2].Interface != "eth1" || i.Addresses[2].Label != "eth1:web" || i.Addresses[2].Scope != "link" {
		t.Errorf("addresses %+v, want the third one silent, as it was written", i.Addresses)
	}
}

func TestOneIdentifierServesBothFamilies(t *testing.T) {
	mustLoad(t, instanceWith("four", `virtual_address "10.0.0.100/32" {}`)+instanceWith("six", `virtual_address "fe80::100/128" {}`), "a")
}

func TestALinkLocalVIPBelongsToItsLink(t *testing.T) {
	six := instanceWith("a", `virtual_address "fe80::100/128" {}`)
	mustLoad(t, six+strings.Replace(strings.Replace(six, `"a"`, `"b"`, 1), "eth0", "eth1", 1), "a")
}

func TestFamiliesThatDoNotFit(t *testing.T) {
	const local = `virtual_address "fe80::100/128" {}`
	for _, c := range []struct {
		name, text string
		line       int
		want       string
	}{
		{"two families in the adverts", local + "\nvirtual_address \"10.0.0.100/32\" {}", 5, "virtual_address is an IPv4 address, and the adverts go over IPv6"},
		{"an IPv4 peer", local + "\nunicast {\n peers = [\"10.0.0.2\"]\n}", 6, "the peer is an IPv4 address"},
		{"an IPv6 source", "virtual_address \"10.0.0.100/32\" {}\nsource_address = \"fe80::1\"", 5, "source_address is an IPv6 address, and the adverts go over IPv4"},
		{"a source of multicast that is not link-local", local + "\nsource_address = \"2001:db8::1\"", 1, "is not link-local"},
		{"version 2", local + "\nversion = 2", 4, "version 2 has no IPv6"},
		{"a label", "virtual_address \"fe80::100/128\" { label = \"eth0:1\" }", 4, "an IPv6 address has no label"},
		{"a first address that is not link-local", `virtual_address "2001:db8::100/128" {}`, 4, "Warning: the first virtual_address over IPv6 is not link-local"},
		{"the same under strict_addresses", "virtual_address \"2001:db8::100/128\" {}\nstrict_addresses = true", 4, "the peer would discard every advert"},
		{"nothing advertised", `virtual_address "10.0.0.100/32" { advertised = false }`, 4, "advertises no address"},
		{
			"more than an advert holds", "dynamic \"virtual_address\" {\n for_each = range(90)\n labels = [\"${cidrhost(\"fe80::/64\", virtual_address.value + 1)}/128\"]\n content {}\n}",
			6, "An advert names up to 89 addresses; these are 90",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, diags := loadText(t, instanceWith("web", c.text), Options{Node: "a", Plugins: plugins()})
			for _, d := range diags {
				if d.Line == c.line && strings.Contains(flat(Diagnostics{d}), c.want) {
					return
				}
			}
			t.Errorf("no diagnostic on line %d with %q:\n%s", c.line, c.want, textOf(diags))
		})
	}
}

func TestMoreAddressesThanAnAdvertHolds(t *testing.T) {
	text := strings.Replace(manyAddresses(300), "content {}", "content { advertised = virtual_address.value < 255 }", 1)
	i := mustLoad(t, instanceWith("web", text), "a").Node.Instances[0]
	if len(i.Addresses) != 300 || len(i.VRRP.Addresses) != 255 {
		t.Errorf("%d addresses and %d advertised, want 300 and 255", len(i.Addresses), len(i.VRRP.Addresses))
	}
}

func TestAcceptIsTheDefault(t *testing.T) {
	const vip = `virtual_address "10.0.0.100/32" {}`
	for text, want := range map[string]bool{vip: false, vip + "\naccept = true": false, vip + "\naccept = false": true} {
		if got := mustLoad(t, instanceWith("web", text), "a").Node.Instances[0].Refuse; got != want {
			t.Errorf("%s: Refuse = %v, want %v", text, got, want)
		}
	}
	_, diags := loadText(t, instanceWith("web", vip+"\naccept = false")+around(""), Options{Node: "a", Plugins: plugins()})
	if text := flat(diags); !strings.Contains(text, `accept = false, and virtual_server "web" is on 10.0.0.100`) {
		t.Errorf("Load says %s, want the service that gets no packets", text)
	}
}
