package control

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestExplainFindsWhatHasTheName(t *testing.T) {
	s := Status{
		Instances: []Instance{{
			Name: "web", State: "HOLD", Reason: "lb1 is MASTER", Addresses: []Address{{Address: netip.MustParsePrefix("10.0.0.100/24")}},
			Guard: Guard{Condition: "HOLD", Row: 2, Decision: "hold", Evidence: []Fact{{"peer", "lb1 is alive and MASTER"}}},
		}},
		Services: []Service{{Name: "http", RealServers: []RealServer{{Address: netip.MustParseAddrPort("10.0.0.21:80"), State: "down", Reason: "refused"}}}},
	}
	for name, kind := range map[string]string{
		"web": "instance", "10.0.0.100": "instance", "10.0.0.100/24": "instance", "10.0.0.21:80": "real_server", "10.0.0.21": "real_server",
	} {
		e, err := Explain(s, name)
		if err != nil || e.Kind != kind || e.Reason == "" {
			t.Errorf("Explain(%s) = %+v, %v; want a %s with its reason", name, e, err, kind)
		}
		if kind == "instance" && (e.Row == "" || e.Guard.Evidence[0].Value == "") {
			t.Errorf("Explain(%s) says nothing of the row or the evidence: %+v", name, e)
		}
	}
	if _, err := Explain(s, "wob"); !errors.Is(err, ErrNotFound) {
		t.Errorf("Explain of an unknown name: %v", err)
	}
}

func TestExplainTellsTheFacts(t *testing.T) {
	weight := -60
	server := netip.MustParseAddrPort("10.0.0.21:80")
	s := Status{
		Instances: []Instance{{
			Name: "web", State: "MASTER", Addresses: []Address{
				{Address: netip.MustParsePrefix("10.0.0.100/24"), Interface: "eth0", Held: true, LeaseMS: 2400},
				{Address: netip.MustParsePrefix("10.0.0.101/24"), Interface: "eth0", Error: "no such device"},
			},
			Tracks: []Track{{Name: "checker.local", State: "down", Weight: &weight, Reason: "connection refused", Stale: true}},
		}},
		Services: []Service{
			{Name: "http", Up: true, RealServers: []RealServer{{Address: server, State: "up", Weight: 1, EffectiveWeight: 1}}},
			{Name: "https", Error: "no IPVS", RealServers: []RealServer{{
				Address: server, State: "down", Weight: 2, Stale: true, Checks: []CheckResult{{Check: "tcp", Result: "fail", Reason: "refused"}},
			}}},
		},
	}
	for name, want := range map[string][]Fact{
		"10.0.0.100": {
			{"VIP", "10.0.0.100/24 on eth0 held, for another 2400 ms unless renewed"},
			{"VIP", "10.0.0.101/24 on eth0 refused: no such device"},
			{"track checker.local", "down, weight -60, stale: connection refused"},
		},
		"10.0.0.21": {
			{"service", "http is up"},
			{"weight", "1 of 1"},
			{"service", "https is down"},
			{"server", "10.0.0.21:80 down, stale"},
			{"weight", "0 of 2"},
			{"error", "no IPVS"},
			{"check tcp", "fail: refused"},
		},
	} {
		e, err := Explain(s, name)
		for _, f := range want {
			if err != nil || !slices.Contains(e.Facts, f) {
				t.Errorf("Explain(%s) = %+v, %v; want the fact %v", name, e, err, f)
			}
		}
	}
	if _, err := Explain(s, "nothing"); err == nil || !strings.Contains(err.Error(), "10.0.0.101") {
		t.Errorf("the VIPs are not among the names: %v", err)
	}
}
