package metrics

import (
	"flag"
	"net/http/httptest"
	"net/netip"
	"os"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/guard"
	"github.com/vipward/vipward/core/health"
	"github.com/vipward/vipward/core/heartbeat"
	"github.com/vipward/vipward/core/node"
	"github.com/vipward/vipward/core/vrrp"
)

var rewrite = flag.Bool("rewrite", false, "write the golden file anew")

// example has a value for every metric.
func example() State {
	now := time.Date(2025, 1, 31, 12, 0, 0, 0, time.UTC)
	vip, server := netip.MustParsePrefix("10.99.0.100/24"), netip.MustParseAddrPort("10.99.0.21:80")
	key := desired.ServiceKey{Address: netip.MustParseAddrPort("10.99.0.100:80"), Protocol: desired.TCP}
	return State{
		Now: now, Progress: now.Add(-250 * time.Millisecond), Version: "1.2.3", Hash: "9f3c",
		Plugins: []Plugin{{
			Name: "http", Kind: "checker", Up: true, Restarts: 1, Dropped: 2, Refused: 3, Checks: &Checks{
				Targets: 4, Stuck: 5, Runs: 60, Lost: 7, Late: []uint64{50, 8, 2}, LateSum: 80 * time.Millisecond,
				LateBounds: []time.Duration{time.Millisecond, 10 * time.Millisecond},
			},
		}},
		Outbox:    []Queue{{Notifier: "ops", Queued: 2, Oldest: now.Add(-6 * time.Second), Delivered: 3, Dropped: 4, Failed: 5}},
		Fencers:   []Fencer{{Name: "lb2-power", Kind: "ipmi", Up: true}},
		Witnesses: map[string]bool{"arbiter": true},
		Fences:    map[string]uint64{"confirmed": 1, "failed": 2, "rehearsed": 0},
		Traffic: node.Traffic{key: {
			Counts: node.Counts{Connections: 1 << 33, InPackets: 15, OutPackets: 16, InBytes: 17, OutBytes: 18},
			Servers: map[netip.AddrPort]node.Counts{server: {
				Active: 7, Inactive: 9, Connections: 19, InPackets: 20, OutPackets: 21, InBytes: 22, OutBytes: 23,
			}},
		}},
		OutboxUnsaved: true, LoopDropped: 11, WireDropped: map[string]uint64{"eth0": 12},
		Beats: map[string]map[string]uint64{"lb2/address": {"sent": 21, "forwarded": 22}}, Neighbours: map[string]uint64{"seen": 23},
		SchedulerLate: 13, FollowersCut: 14,
		Snapshot: &node.Snapshot{
			Ready: true,
			Instances: []node.InstanceStatus{{
				Config: node.Instance{Name: "web", VRRP: vrrp.Config{Priority: 150}}, State: vrrp.Master, Effective: 90,
				Guard: node.GuardStatus{
					Verdict: guard.Verdict{Row: guard.RowDead, Decision: guard.Take}, Conflicts: 24, Refusals: [guard.Rows]uint64{guard.RowIsolated: 25},
					DualMaster: 1500 * time.Millisecond, Evidence: guard.Evidence{
						References: guard.VoiceHeard, Peer: guard.Peer{Heard: guard.VoiceSilent}, VIP: guard.Answerer{Who: guard.WhoNobody},
					},
				},
				Addresses: []node.AddressStatus{{Prefix: vip, Held: true, LeaseEnd: now.Add(2400 * time.Millisecond)}},
				Counters: vrrp.Counters{
					Sent: 60, Received: 2, PriorityZeroSent: 3, PriorityZeroReceived: 4, BecameMaster: 1,
					Discarded: map[vrrp.Reason]uint64{vrrp.ReasonChecksum: 5},
				},
			}},
			Peers: []node.PeerStatus{{Name: "lb2", Paths: []node.PathStatus{
				{Path: heartbeat.Path{Name: "address"}, Up: true, RTT: 250 * time.Microsecond}, {Path: heartbeat.Path{Name: "cross"}},
			}}},
			Checkers: []node.CheckerStatus{{Name: "local", Status: health.Up, Values: map[string]float64{"load": 0.5}}},
			Services: []node.ServiceStatus{{
				Config: node.Service{Name: "web", Service: desired.Service{ServiceKey: key}}, Up: true,
				RealServers: []node.RealServerStatus{{Address: desired.Destination{Address: server}, Status: health.Up, EffectiveWeight: 2, Checks: []node.CheckResult{
					{Check: "http", Observation: health.Observation{Took: 1250 * time.Microsecond, Values: map[string]float64{"answer_seconds": 0.25}}},
				}}},
			}},
		},
	}
}

// exposition is what the collector alone shows of a state.
func exposition(t *testing.T, s State) string {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(newCollector(func() State { return s }))
	w := httptest.NewRecorder()
	promhttp.HandlerFor(r, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("the registry cannot be read: %s", w.Body)
	}
	return strings.ReplaceAll(w.Body.String(), runtime.Version(), "GOVERSION")
}

func TestExposition(t *testing.T) {
	got := exposition(t, example())
	if *rewrite {
		if err := os.WriteFile("testdata/metrics.txt", []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/metrics.txt")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("the exposition differs from testdata/metrics.txt (-want +got):\n%s", diff)
	}
}

func TestEveryMetricHasASample(t *testing.T) {
	got := exposition(t, example())
	for _, d := range describe().all {
		_, name, _ := strings.Cut(d.String(), `fqName: "`)
		name, _, _ = strings.Cut(name, `"`)
		if !strings.Contains(got, "# TYPE "+name+" ") {
			t.Errorf("%s is described and never shown", name)
		}
	}
}

func TestNamesFollowTheConventions(t *testing.T) {
	m := New(example)
	m.LoopWait.Observe(0.001)
	m.LoopStep.Observe(0.000002)
	problems, err := testutil.GatherAndLint(m.registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestHandlerShowsLoopAndProcess(t *testing.T) {
	m := New(example)
	m.LoopStep.Observe(0.000002)
	m.Takeover.Observe(0.35)
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{
		"vipward_loop_wait_seconds_count 0", `vipward_loop_step_seconds_bucket{le="4e-06"} 1`,
		"vipward_loop_lateness_seconds_count 0", `vipward_takeover_seconds_bucket{le="0.4"} 1`,
		`vipward_vrrp_state{instance="web"} 2`, "process_start_time_seconds", "go_goroutines",
	} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("/metrics has no %s", want)
		}
	}
}

func TestWhatDoesNotApplyIsNotShown(t *testing.T) {
	s := example()
	s.Snapshot.Instances[0].Addresses[0] = node.AddressStatus{Prefix: netip.MustParsePrefix("10.99.0.100/24")}
	s.Traffic = nil
	got := exposition(t, s)
	for _, absent := range []string{"vipward_vip_lease_seconds", "vipward_real_server_active_connections"} {
		if strings.Contains(got, absent) {
			t.Errorf("%s is shown of a VIP without lease and a server without counts", absent)
		}
	}
	if !strings.Contains(got, `vipward_vip_owned{instance="web",vip="10.99.0.100/24"} 0`) {
		t.Error("a VIP that is not held has no sample 0")
	}
}

func TestBeforeTheFirstSnapshot(t *testing.T) {
	if got := exposition(t, State{}); !strings.Contains(got, "vipward_ready 0") || strings.Contains(got, "loop_idle") {
		t.Errorf("the exposition of an empty state is\n%s", got)
	}
}

func TestTheRulesForAlertsNameMetricsThatThereAre(t *testing.T) {
	rules, err := os.ReadFile("../../configs/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	New(example).Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	names := regexp.MustCompile(`vipward_\w+`).FindAllString(string(rules), -1)
	if len(names) < 12 {
		t.Fatalf("the rules name %d metrics", len(names))
	}
	for _, name := range names {
		if !strings.Contains(w.Body.String(), "\n"+name+"{") {
			t.Errorf("the rules name %s, which there is not", name)
		}
	}
}
