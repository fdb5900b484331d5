package config

import (
	"fmt"
	"strings"
	"testing"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// how is where a check goes and how, on one line.
func how(c Check) string {
	s := c.Target.String()
	if c.Source.IsValid() {
		s += " from " + c.Source.String()
	}
	if c.Device != "" {
		s += " by " + c.Device
	}
	if c.Mark != 0 {
		s += fmt.Sprintf(" mark %d", c.Mark)
	}
	return s
}

func TestHowACheckReachesItsTarget(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"the real server", around(""), "10.0.0.11:80"},
		{"another port of it", around("port = 8080"), "10.0.0.11:8080"},
		{"another address with its port", around(`address = "10.1.0.11"`), "10.1.0.11:80"},
		{"another address and port", around(`address = "10.1.0.11:8080"`), "10.1.0.11:8080"},
		{"in two attributes", around("address = \"10.1.0.11\"\nport = 8080"), "10.1.0.11:8080"},
		{"of IPv6", around(`address = "[2001:db8::1]:80"`), "[2001:db8::1]:80"},
		{"from, by and marked", around("source = \"10.0.0.1\"\ndevice = \"eth1\"\nfwmark = 4294967295"), "10.0.0.11:80 from 10.0.0.1 by eth1 mark 4294967295"},
		{"a check of the node itself", `checker "http" "x" {}`, "invalid AddrPort"},
		{"that goes to an address", `checker "http" "x" { address = "127.0.0.1:80" }`, "127.0.0.1:80"},
		{"whose port the plugin knows", `checker "http" "x" { address = "127.0.0.1" }`, "127.0.0.1:0"},
		{"that differs by node", "node \"lb1\" { address = \"10.9.0.1\" }\nchecker \"http\" \"x\" { address = { lb1 = \"127.0.0.1:80\" } }", "127.0.0.1:80"},
		{"an address that the plugin has itself", `checker "own" "x" { address = "web:80" }`, "invalid AddrPort"},
	} {
		p := plugins()
		p["own"] = &pluginv1.Schema{Attributes: []*pluginv1.Attribute{{Name: "address", Type: "string"}}}
		c, diags := loadText(t, tt.text, Options{Node: "lb1", Plugins: p})
		if diags.HasErrors() || len(c.Checks) != 1 {
			t.Errorf("%s: %s", tt.name, textOf(diags))
			continue
		}
		if got := how(c.Checks[0]); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestFaultsOfAConnection(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		line       int
		want       string
	}{
		{"a name instead of an address", around(`address = "web"`), 6, `address "web" is no address`},
		{"two ports", around("address = \"10.1.0.11:80\"\nport = 81"), 7, "port and the port of address differ"},
		{"a port out of range", around("port = 65536"), 6, "A port is 1 to 65535"},
		{"a mark out of range", around("fwmark = 4294967296"), 6, "A mark is a number"},
		{"an interface that cannot be", around(`device = "a-very-long-name"`), 6, "1 to 15 characters"},
		{"a source of another family", around(`source = "2001:db8::1"`), 6, "source and target are of different families"},
		{"a port of the node itself", `checker "http" "x" { port = 80 }`, 1, "port without address"},
		{"the name that keepalived has", around("connect_port = 80"), 6, "port = 8080"},
	} {
		_, diags := loadText(t, tt.text, Options{Node: "lb1", Plugins: plugins()})
		if text := flat(diags); !strings.Contains(text, tt.want) || !strings.Contains(text, fmt.Sprintf("line %d", tt.line)) {
			t.Errorf("%s: %s\nwant %q on line %d", tt.name, textOf(diags), tt.want, tt.line)
		}
	}
}
