package config

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/event"
	"github.com/vipward/vipward/core/guard"
	"github.com/vipward/vipward/core/health"
	"github.com/vipward/vipward/core/heartbeat"
	"github.com/vipward/vipward/core/node"
	"github.com/vipward/vipward/core/vrrp"
)

func sample(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../../configs", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestTheReferenceIsValidOnBothNodes(t *testing.T) {
	for _, name := range []string{"lb1", "lb2"} {
		mustLoad(t, sample(t, "reference.hcl"), name)
	}
}

func TestThePairAsTheSecondNodeSeesIt(t *testing.T) {
	server := func(n string) node.RealServer {
		return node.RealServer{
			Destination: desired.Destination{Address: netip.MustParseAddrPort("10.77.0." + n + ":80"), Forward: desired.DR, Weight: 1},
			Checks: []node.ServerCheck{{
				Check: "server/web/10.77.0." + n + ":80/0", Plugin: "http",
				Health: health.Config{Rise: 1, Fall: 2, Initial: health.Down, OnUnknown: health.Unknown, FreshFor: 3500 * time.Millisecond},
			}},
		}
	}
	check := func(n string) Check {
		return Check{
			ID: "server/web/10.77.0." + n + ":80/0", Kind: "http", Name: "web 10.77.0." + n + ":80",
			Config: []byte(`{"path":"/index.html","status":[200]}`), Target: netip.MustParseAddrPort("10.77.0." + n + ":80"),
			Interval: time.Second, Timeout: 500 * time.Millisecond, Warmup: time.Second,
		}
	}
	vip := netip.MustParsePrefix("10.77.0.100/32")
	want := &Config{
		Node: node.Config{
			Name: "lb2",
			Instances: []node.Instance{{
				Name: "web", Interface: "eth0",
				VRRP: vrrp.Config{
					VRID: 51, Priority: 100, Version: 3, Interval: time.Second, Preempt: true, Addresses: []netip.Addr{vip.Addr()},
				},
				Addresses:    []node.VirtualAddress{{Prefix: vip, Interface: "eth0", Scope: "global"}},
				Tracks:       []node.Track{{Kind: node.TrackChecker, Name: "local", Weighted: true, Weight: -60}},
				Garp:         desired.Garp{Delay: 5 * time.Second, Repeat: 5, RefreshRepeat: 1},
				Lease:        node.Lease{Auto: true},
				StartDelay:   time.Second,
				PeerPriority: 150, Notify: []string{"legacy"},
			}},
			Checkers: []node.Checker{{Name: "local", Check: "checker/local", Plugin: "http", Health: health.Config{
				Rise: 2, Fall: 2, Initial: health.Unknown, FreshFor: 2300 * time.Millisecond,
			}}},
			Services: []node.Service{{
				Name: "web", Quorum: 1, MaxEjected: 100, RealServers: []node.RealServer{server("11"), server("12")},
				Service: desired.Service{
					ServiceKey: desired.ServiceKey{Address: netip.MustParseAddrPort("10.77.0.100:80"), Protocol: desired.TCP},
					Scheduler:  "rr", Granularity: 32, Drain: 5 * time.Minute,
				},
			}},
			Guard: node.Guard{HeartbeatPort: heartbeat.Port, ProbeVIP: true, Gateway: true, OnHoldExpired: guard.HoldOn, Peers: []node.Peer{{
				Name: "lb1", Paths: []heartbeat.Path{{Name: "address", Address: netip.MustParseAddr("10.77.0.1")}},
			}}, Attributes: []heartbeat.Attribute{
				{Name: "vrrp_instance.web.virtual_router_id", Value: "51"},
				{Name: "vrrp_instance.web.version", Value: "3"},
				{Name: "vrrp_instance.web.advert_interval", Value: "1s"},
				{Name: "vrrp_instance.web.preempt", Value: "true"},
				{Name: "vrrp_instance.web.virtual_address", Value: "10.77.0.100/32"},
				{Name: "virtual_server.web.address", Value: "10.77.0.100:80"},
				{Name: "virtual_server.web.scheduler", Value: "rr"},
			}},
		},
		Nodes: []Node{{Name: "lb1", Address: netip.MustParseAddr("10.77.0.1")}, {Name: "lb2", Address: netip.MustParseAddr("10.77.0.2")}},
		Checks: []Check{
			{
				ID: "checker/local", Kind: "http", Name: "checker local", Interval: 500 * time.Millisecond, Timeout: 300 * time.Millisecond,
				Warmup: 500 * time.Millisecond,
				Config: []byte(`{"status":[200],"url":"http://127.0.0.1:8081/alive"}`),
			},
			check("11"), check("12"),
		},
		Notifiers: []Notifier{{
			Kind: "exec", Name: "legacy", Config: []byte(`{"command":["/usr/local/bin/notify.sh"]}`),
			Kinds: []event.Kind{event.Instance, event.Group, event.RealServer}, Retry: 100,
		}},
		Log: Log{Level: "info", Output: "stderr"},
		Forecasts: []Forecast{{
			Instance: "web", Node: "lb1", Track: "checker local", Priority: 150, PeerPriority: 100, Moves: true, To: "lb2", WithinMS: 3609, DetectMS: 1300,
			Text: "web: if checker local fails on lb1, the VIP moves to lb2 within 3.6 s, and up to 1.3 s until it counts as down",
		}},
	}
	got := mustLoad(t, sample(t, "pair-dr.hcl"), "lb2")
	ignore := cmpopts.IgnoreFields(Config{}, "Hash")
	values := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
	endpoints := cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })
	prefixes := cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })
	if d := cmp.Diff(want, got, ignore, values, endpoints, prefixes, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("Load differs (-want +got):\n%s", d)
	}
}

func TestTheHashIsOfNamesAndBytesAlone(t *testing.T) {
	hash := func(dir string) string {
		c, diags := Load(t.Context(), dir, Options{})
		if c == nil {
			t.Fatal(textOf(diags))
		}
		return c.Hash
	}
	files := []string{"a.hcl", "locals { a = 1 }\n", "b.hcl", "locals { b = 2 }\n", "notes.txt", "no HCL"}
	one := hash(write(t, files...))
	if len(one) != 12 || strings.Trim(one, "0123456789abcdef") != "" {
		t.Errorf("the hash %q is not 12 hexadecimal digits", one)
	}
	if other := hash(write(t, files...)); other != one {
		t.Errorf("the hash is %s in one folder and %s in another", one, other)
	}
	files[1] = "locals { a = 3 }\n"
	if other := hash(write(t, files...)); other == one {
		t.Error("the hash does not change with the bytes of a file")
	}
	files[1], files[0] = "locals { a = 1 }\n", "aa.hcl"
	if other := hash(write(t, files...)); other == one {
		t.Error("the hash does not change with the name of a file")
	}
}

func TestALoneNode(t *testing.T) {
	const instance = `
vrrp_instance "web" {
  interface         = "eth0"
  virtual_router_id = 51
  virtual_address "10.0.0.100/32" {}
}
`
	for _, c := range []struct {
		name, text string
		lone       bool
		peer       uint8
	}{
		{"no node is declared, so nothing is known about peers", instance, false, 0},
		{"one node is declared", `node "a" { address = "10.0.0.1" }` + instance, true, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := mustLoad(t, c.text, "a")
			if got.Node.Lone != c.lone || got.Node.Name != "a" || got.Node.Instances[0].PeerPriority != c.peer {
				t.Errorf("Lone = %v, want %v", got.Node.Lone, c.lone)
			}
		})
	}
}

func TestChecksInheritTheirTiming(t *testing.T) {
	const text = `
defaults {
  check {
    interval = "7s"
    fall     = 4
  }
}
checker "tcp" "local" { timeout = "2s" }
vrrp_instance "web" {
  interface         = "eth0"
  virtual_router_id = 51
  virtual_address "10.0.0.100/32" {}
  track "checker" { name = "local" }
}
virtual_server "web" {
  address = "10.0.0.100:80"
  forward = "dr"
  real_server "10.0.0.11:80" {}
  real_server "10.0.0.12:80" {
    check "tcp" {
      fall    = 2
      initial = "up"
    }
    check "http" {}
  }
  check "tcp" { retry_interval = "1s" }
}
`
	c := mustLoad(t, text, "a")
	type line struct {
		id                       string
		interval, timeout, retry time.Duration
	}
	want := []line{
		{"checker/local", 7 * time.Second, 2 * time.Second, 0},
		{"server/web/10.0.0.11:80/0", 7 * time.Second, 5 * time.Second, time.Second},
		{"server/web/10.0.0.12:80/0", 7 * time.Second, 5 * time.Second, 0},
		{"server/web/10.0.0.12:80/1", 7 * time.Second, 5 * time.Second, 0},
	}
	var got []line
	for _, k := range c.Checks {
		got = append(got, line{k.ID, k.Interval, k.Timeout, k.RetryInterval})
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(line{})); d != "" {
		t.Errorf("the checks differ (-want +got):\n%s", d)
	}
	verdicts := []health.Config{
		{Rise: 1, Fall: 2, Initial: health.Up, OnUnknown: health.Unknown, FreshFor: 20 * time.Second}, {Rise: 1, Fall: 4, Initial: health.Down, OnUnknown: health.Unknown, FreshFor: 20 * time.Second},
	}
	for i, k := range c.Node.Services[0].RealServers[1].Checks {
		if k.Health != verdicts[i] {
			t.Errorf("check %d of the second server = %+v, want %+v", i, k.Health, verdicts[i])
		}
	}
}
