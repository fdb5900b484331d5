package control

import (
	"encoding/json"
	"flag"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/health"
	"github.com/vipward/vipward/core/node"
	"github.com/vipward/vipward/core/vrrp"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

// noon is the instant at which the snapshots of these tests were made.
func noon() time.Time { return time.Date(2025, 1, 31, 12, 0, 0, 0, time.UTC) }

// example is the snapshot of a node that is master of one instance and has one server of two up.
func example() *node.Snapshot {
	vip := netip.MustParsePrefix("10.99.0.100/24")
	server := func(addr string, weight int) desired.Destination {
		return desired.Destination{Address: netip.MustParseAddrPort(addr), Forward: desired.DR, Weight: weight}
	}
	return &node.Snapshot{
		At: noon(), Name: "lb1", Ready: true,
		Sync: node.SyncStatus{
			Config:  node.Sync{Instance: "web", Daemon: desired.Sync{Interface: "eth0", ID: 51, Group: desired.SyncGroup(), Port: desired.SyncPort}},
			Running: desired.Sync{Role: desired.SyncMaster}, Since: noon().Add(-time.Minute),
		},
		Instances: []node.InstanceStatus{{
			Config: node.Instance{
				Name: "web", Interface: "eth0",
				VRRP:      vrrp.Config{VRID: 51, Version: 3, Priority: 150, Interval: time.Second, Preempt: true},
				Addresses: []node.VirtualAddress{{Prefix: vip, Interface: "eth0"}},
			},
			State: vrrp.Master, Since: noon().Add(-time.Minute), Reason: "advert timer expired", Effective: 90,
			Addresses: []node.AddressStatus{{Prefix: vip, Held: true, LeaseEnd: noon().Add(2400 * time.Millisecond)}},
			Master:    node.MasterStatus{Address: netip.MustParseAddr("10.99.0.11"), Priority: 90, LastAdvert: noon().Add(-43 * time.Millisecond)},
			Tracks: []node.TrackStatus{
				{Track: node.Track{Kind: node.TrackChecker, Name: "local", Weighted: true, Weight: -60}, Status: health.Down, Reason: "status 503", Stale: true},
				{Track: node.Track{Kind: node.TrackInterface, Name: "eth1"}, Status: health.Up},
			},
			Counters: vrrp.Counters{Sent: 60, Received: 2, BecameMaster: 1, Discarded: map[vrrp.Reason]uint64{vrrp.ReasonChecksum: 3}},
		}},
		Groups: []node.GroupStatus{{
			Config: node.Group{Name: "all", Instances: []string{"web", "db"}}, State: vrrp.Master, Since: noon(), Reason: "no master heard",
		}},
		Checkers: []node.CheckerStatus{{Name: "local", Status: health.Down, Since: noon().Add(-time.Second), Reason: "status 503", Stale: true, Values: map[string]float64{"load": 0.5}}},
		Services: []node.ServiceStatus{{
			Config: node.Service{Name: "web", Service: desired.Service{
				ServiceKey: desired.ServiceKey{Address: netip.MustParseAddrPort("10.99.0.100:80"), Protocol: desired.TCP}, Scheduler: "rr",
			}},
			Up: true,
			RealServers: []node.RealServerStatus{
				{Address: server("10.99.0.21:80", 1), Status: health.Up, Since: noon(), EffectiveWeight: 1, Checks: []node.CheckResult{
					{Check: "http", At: noon(), Observation: health.Observation{
						Outcome: health.Pass, Took: 1250 * time.Microsecond, Values: map[string]float64{"answer_seconds": 0.25},
					}},
				}},
				{Address: server("10.99.0.22:80", 2), Status: health.Down, Since: noon(), Reason: "connection refused", Stale: true},
			},
		}},
	}
}

func extra() Extra {
	key := desired.ServiceKey{Address: netip.MustParseAddrPort("10.99.0.100:80"), Protocol: desired.TCP}
	return Extra{
		Version: "1.2.3", Hash: "9f3c", Started: noon().Add(-time.Hour), Now: noon(),
		Plugins: []Plugin{{Name: "http", Kind: "checker", State: "running", PID: 123, Version: "1.2.3"}},
		Fencers: []Fencer{{Name: "lb2-power", Kind: "ipmi", TimeoutMS: 20000, State: "unknown"}},
		Traffic: node.Traffic{key: {
			Counts: node.Counts{Active: 7, Inactive: 9, Connections: 1 << 33},
			Servers: map[netip.AddrPort]node.Counts{
				netip.MustParseAddrPort("10.99.0.21:80"): {Active: 7, Inactive: 9, Connections: 5, InBytes: 1 << 40},
			},
		}},
	}
}

func TestStatusOfAMaster(t *testing.T) {
	got, err := json.MarshalIndent(Render(example(), extra()), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if *rewrite {
		if err := os.WriteFile("testdata/status.json", got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/status.json")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("the status differs from testdata/status.json (-want +got):\n%s", diff)
	}
}

func TestStatusInOtherSituations(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*node.Snapshot)
		holds  func(Status) bool
	}{
		{"no master is known: the age of its advert is null", func(s *node.Snapshot) {
			s.Instances[0].Master = node.MasterStatus{}
		}, func(s Status) bool { return s.Instances[0].Master == Master{} }},
		{"a lease that has just run out has 0 ms left, not less", func(s *node.Snapshot) {
			s.Instances[0].Addresses[0].LeaseEnd = noon().Add(-time.Second)
		}, func(s Status) bool { return s.Instances[0].Addresses[0].LeaseMS == 0 }},
		{"an address without a lease has 0 ms", func(s *node.Snapshot) {
			s.Instances[0].Addresses[0].LeaseEnd = time.Time{}
		}, func(s Status) bool { return s.Instances[0].Addresses[0].LeaseMS == 0 }},
		{"a VIP on another interface names it", func(s *node.Snapshot) {
			s.Instances[0].Config.Addresses[0].Interface = "eth1"
		}, func(s Status) bool { return s.Instances[0].Addresses[0].Interface == "eth1" }},
		{"an IPv6 VIP makes the family ipv6", func(s *node.Snapshot) {
			s.Instances[0].Config.VRRP.Addresses = []netip.Addr{netip.MustParseAddr("fe80::1")}
		}, func(s Status) bool { return s.Instances[0].Family == "ipv6" }},
		{"a server that is up with weight 0 drains", func(s *node.Snapshot) {
			s.Services[0].RealServers[0].EffectiveWeight = 0
		}, func(s Status) bool { return s.Services[0].RealServers[0].State == "drain" }},
		{"a server that an operator drains is in drain, whatever its checks say", func(s *node.Snapshot) {
			s.Services[0].RealServers[0].Status, s.Services[0].RealServers[0].Drained = health.Down, true
		}, func(s Status) bool { return s.Services[0].RealServers[0].State == "drain" }},
		{"a server that was never checked is unknown, not drain", func(s *node.Snapshot) {
			s.Services[0].RealServers[0].Status, s.Services[0].RealServers[0].EffectiveWeight = health.Unknown, 0
		}, func(s Status) bool { return s.Services[0].RealServers[0].State == "unknown" }},
		{"a service without servers has no method", func(s *node.Snapshot) {
			s.Services[0].RealServers = nil
		}, func(s Status) bool { return s.Services[0].Forward == "" && s.Services[0].RealServers != nil }},
		{"servers of services that were removed stand by service", func(s *node.Snapshot) {
			l := node.Leaving{Service: desired.Marked(7, false), Server: netip.MustParseAddrPort("10.0.0.11:80"), Until: noon().Add(time.Minute)}
			s.Leaving = []node.Leaving{l, l, {Service: desired.Marked(8, false), Server: l.Server}}
		}, func(s Status) bool {
			return len(s.Removed) == 2 && s.Removed[0].Service == "fwmark 7" && len(s.Removed[0].Leaving) == 2 && len(s.Removed[1].Leaving) == 1
		}},
		{"a state without an instant is as old as the daemon", func(s *node.Snapshot) {
			s.Instances[0].Since = time.Time{}
		}, func(s Status) bool { return s.Instances[0].Since.Equal(noon().Add(-time.Hour)) }},
		{"counters of discarded adverts are an object even if there are none", func(s *node.Snapshot) {
			s.Instances[0].Counters.Discarded = nil
		}, func(s Status) bool { return s.Instances[0].Counters.Discarded != nil }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := example()
			tc.change(s)
			if got := Render(s, extra()); !tc.holds(got) {
				b, _ := json.MarshalIndent(got, "", "  ")
				t.Errorf("Render = %s", b)
			}
		})
	}
}

func TestStatusBeforeTheFirstSnapshotHasEveryList(t *testing.T) {
	b, err := json.Marshal(Render(nil, Extra{}))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"format":1,"version":"","node":"","config_hash":"","started":"0001-01-01T00:00:00Z","ready":false,` +
		`"instances":[],"peers":[],"groups":[],"checkers":[],"services":[],"sync":null,"plugins":[],"fencers":[],"maintenance":{"on":false,"since":null,"reason":""}}`
	if string(b) != want {
		t.Errorf("Render(nil) = %s, want %s", b, want)
	}
}
