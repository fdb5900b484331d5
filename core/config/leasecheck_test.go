package config

import (
	"strings"
	"testing"
)

func TestALeaseThatLeavesTwoOwners(t *testing.T) {
	const pair = "node \"lb1\" { address = \"10.9.0.1\" }\nnode \"lb2\" { address = \"10.9.0.2\" }\n"
	const body = "vrrp_instance \"web\" {\n interface = \"eth0\"\n virtual_router_id = 51\n priority = { lb1 = 150, lb2 = 100 }\n virtual_address \"10.0.0.100/24\" {}\n"
	for _, tt := range []struct{ name, lease, want string }{ // an error is longer than it should be, a warning of no use
		{"longer than the takeover", "lease = \"10s\"", "a lease of 10s outlasts the takeover after 3.609s"},
		{"shorter", "lease = \"3s\"", ""},
		{"the least, with fast adverts", "advert_interval = \"100ms\"\nlease = \"1s\"", ""},
		{"off, with fast adverts", "advert_interval = \"100ms\"\nlease = \"off\"", `lease = "off" with adverts every 100ms`},
		{"off", "lease = \"off\"", ""},
		{"fast, with fast adverts", "advert_interval = \"100ms\"\nlease = \"fast\"", ""},
		{"fast, with slow adverts", "lease = \"fast\"", "a fast lease gains nothing with adverts every 1s"},
		{"in milliseconds", "advert_interval = \"100ms\"\nlease = \"250ms\"", ""},
		{"in milliseconds, longer than the takeover", "advert_interval = \"100ms\"\nlease = \"400ms\"", "a lease of 400ms is too long for the takeover after 361ms"},
	} {
		_, diags := loadText(t, pair+body+tt.lease+"\n}\n", Options{Node: "lb1", Plugins: plugins()})
		if tt.want == "" && len(diags) == 0 {
			continue
		}
		severity := Warning
		if strings.Contains(tt.name, "longer") {
			severity = Error
		}
		if len(diags) != 1 || diags[0].Severity != severity || diags[0].Line != 8+strings.Count(tt.lease, "\n") || tt.want == "" || !strings.Contains(textOf(diags), tt.want) {
			t.Errorf("%s: want %q:\n%s", tt.name, tt.want, textOf(diags))
		}
	}
}

func TestAFastLeaseThatEndsBeforeTheNextAdvert(t *testing.T) {
	const body = "node \"lb1\" { address = \"10.9.0.1\" }\nnode \"lb2\" { address = \"10.9.0.2\" }\nvrrp_instance \"web\" {\n interface = \"eth0\"\n virtual_router_id = 51\n priority = { lb1 = 150, lb2 = 254 }\n virtual_address \"10.0.0.100/24\" {}\n"
	for _, tt := range []struct{ lease, want string }{
		{"advert_interval = \"10ms\"\nlease = \"fast\"", "adverts every 10ms are too fast for lease = \"fast\""},
		{"advert_interval = \"100ms\"\nlease = \"100ms\"", "It is to be 150ms at least, and 220ms at most; \"fast\" is that"},
		{"advert_interval = \"100ms\"\nlease = \"200500us\"", "lease is no multiple of 1ms"},
	} {
		_, diags := loadText(t, body+tt.lease+"\n}\n", Options{Node: "lb1", Plugins: plugins()})
		if len(diags) != 1 || diags[0].Severity != Error || diags[0].Line != 9 || !strings.Contains(textOf(diags), tt.want) {
			t.Errorf("want %q:\n%s", tt.want, textOf(diags))
		}
	}
}
