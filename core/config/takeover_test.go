package config

import (
	"strings"
	"testing"
)

// pairWith is a pair with an instance whose lines 7 and up are the text.
func pairWith(text string) string {
	return `node "lb1" { address = "10.9.0.1" }
node "lb2" { address = "10.9.0.2" }
vrrp_instance "web" {
  interface         = "eth0"
  virtual_router_id = 51
  priority          = { lb1 = 150, lb2 = 100 }
` + text
}

func TestReferencesThatNobodyCanAsk(t *testing.T) {
	const end = "\nvirtual_address \"10.0.0.100/24\" {}\n}\n"
	for _, tt := range []struct {
		name, text string
		line       int
		want       string // nothing for no warning
	}{
		{"a reference elsewhere", end + `arbitration { references = ["192.0.2.9"] }`, 10, "Error: reference 192.0.2.9 is on no network of the pair"},
		{"a reference that is a VIP", end + `arbitration { references = ["10.0.0.254", "10.0.0.100"] }`, 10, `reference 10.0.0.100 is a VIP of vrrp_instance "web"`},
		{"a reference on the VIP's network", end + `arbitration { references = ["10.0.0.254"] }`, 0, ""},
	} {
		_, diags := loadText(t, pairWith(tt.text), Options{Node: "lb1", Plugins: plugins()})
		expect(t, tt.name, diags, tt.line, tt.want)
	}
}

func TestOneHeartbeatPathOnTheNetworkOfTheVIPsIsWarnedOf(t *testing.T) {
	pair := func(from string) string {
		return strings.ReplaceAll(pairWith("virtual_address \"10.0.0.100/24\" {}\n}\n"), "10.9.0.", from)
	}
	load := func(text string) Diagnostics {
		_, diags := loadText(t, text, Options{Node: "lb1", Plugins: plugins()})
		return diags
	}
	expect(t, "on that network", load(pair("10.0.0.")), 1, "the only path of heartbeats is on the network of the VIPs")
	expect(t, "elsewhere", load(pair("10.9.0.")), 0, "")
	second := strings.Replace(pair("10.0.0."), `"10.0.0.2" }`, "\"10.0.0.2\"\n heartbeat \"x\" { address = \"10.1.0.2\" }\n}", 1)
	expect(t, "a second path", load(strings.Replace(second, `{ address = "10.0.0.2"`, "{\n address = \"10.0.0.2\"", 1)), 0, "")
}

func TestHeartbeatsThatTakeTheWayOfTheAdvertsAreWarnedOf(t *testing.T) {
	pair := func(link string) string {
		second := "node \"lb2\" {\n address = \"10.9.0.2\"\n heartbeat \"x\" {\n  address = \"10.1.0.2\"\n  interface = \"" + link + "\"\n }\n}"
		return strings.Replace(pairWith("virtual_address \"10.0.0.100/32\" {}\n}\n"), `node "lb2" { address = "10.9.0.2" }`, second, 1)
	}
	_, diags := loadText(t, pair("eth0"), Options{Node: "lb1", Plugins: plugins()})
	expect(t, "the same interface", diags, 4, `every heartbeat of node "lb2" goes over the interface of its adverts`)
	_, diags = loadText(t, pair("eth1"), Options{Node: "lb1", Plugins: plugins()})
	expect(t, "another interface", diags, 0, "")
}

func expect(t *testing.T, name string, diags Diagnostics, line int, want string) {
	t.Helper()
	text := strings.Join(strings.Fields(textOf(diags)), " ")
	switch {
	case want == "" && len(diags) > 0:
		t.Errorf("%s: want none:\n%s", name, textOf(diags))
	case want != "" && (len(diags) != 1 || diags[0].Line != line || !strings.Contains(text, want)):
		t.Errorf("%s: want %q in line %d:\n%s", name, want, line, textOf(diags))
	}
}
