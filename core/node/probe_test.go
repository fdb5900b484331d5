package node

import (
	"net/netip"
	"testing"
	"time"

	"github.com/vipward/vipward/core/desired"
)

func TestAWayThroughTheVIPIsThereWhateverTheServerIs(t *testing.T) {
	server := desired.Destination{
		Address: netip.MustParseAddrPort("10.0.0.11:0"), Forward: desired.TUN, Tunnel: desired.Tunnel{Type: desired.GUE, Port: 6080},
		Weight: 0, UpperThreshold: 10, LowerThreshold: 5,
	}
	source := netip.MustParseAddr("10.0.0.1")
	n := New(Config{Name: "a", Probes: []Probe{{Mark: desired.ProbeMarks | 1, Source: source, Destination: server}}})
	out := n.Step(time.Unix(1000, 0), Start{})
	if out.Desired == nil || len(out.Desired.Services) != 1 {
		t.Fatalf("the wish is %+v, want one service", out.Desired)
	}
	s := out.Desired.Services[0]
	if want := desired.Marked(desired.ProbeMarks|1, false); s.ServiceKey != want || s.Persistence != 0 {
		t.Errorf("the service is %+v, want %v without persistence", s, want)
	}
	want := server
	want.Weight, want.UpperThreshold, want.LowerThreshold = 1, 0, 0
	if len(s.Destinations) != 1 || s.Destinations[0] != want {
		t.Errorf("its servers are %+v, want %+v", s.Destinations, want)
	}
	if p := out.Desired.Probes; len(p) != 1 || p[0] != (desired.Probe{Server: server.Address.Addr(), Source: source}) {
		t.Errorf("the probes are %+v", p)
	}
	out = n.Step(time.Unix(1001, 0), Stop{})
	if out.Desired == nil || len(out.Desired.Services) > 0 || len(out.Desired.Probes) > 0 {
		t.Errorf("after the end the wish is %+v, want nothing", out.Desired)
	}
}
