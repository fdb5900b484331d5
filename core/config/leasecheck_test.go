package config

import (
	"strings"
	"testing"
)

func TestALeaseThatLeavesTwoOwners(t *testing.T) {
	const pair = "node \"lb1\" { address = \"10.0.0.1\" }\nnode \"lb2\" { address = \"10.0.0.2\" }\n"
	const body = "vrrp_instance \"web\" {\n interface = \"eth0\"\n virtual_router_id = 51\n priority = { lb1 = 150, lb2 = 100 }\n virtual_address \"10.0.0.100/24\" {}\n"
	for _, tt := range []struct{ name, lease, want string }{
		{"longer than the takeover", "lease = \"10s\"", "a lease of 10s outlasts the takeover after 3.609s"},
		{"shorter", "lease = \"3s\"", ""},
		{"the least, with fast adverts", "advert_interval = \"100ms\"\nlease = \"1s\"", ""},
		{"off, with fast adverts", "advert_interval = \"100ms\"\nlease = \"off\"", `lease = "off" with adverts every 100ms`},
		{"off", "lease = \"off\"", ""},
	} {
		_, diags := loadText(t, pair+body+tt.lease+"\n}\n", Options{Node: "lb1", Plugins: plugins()})
		if tt.want == "" && len(diags) == 0 {
			continue
		}
		if len(diags) != 1 || diags[0].Severity != Warning || diags[0].Line != 8+strings.Count(tt.lease, "\n") || tt.want == "" || !strings.Contains(textOf(diags), tt.want) {
			t.Errorf("%s: want %q:\n%s", tt.name, tt.want, textOf(diags))
		}
	}
}
