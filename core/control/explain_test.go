package control

import (
	"errors"
	"net/netip"
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
