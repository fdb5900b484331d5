package pluginhost

import (
	"net/netip"
	"testing"
	"time"

	"github.com/vipward/vipward/core/config"
)

func TestAnAssignmentSaysHowToConnect(t *testing.T) {
	c := config.Check{
		ID: "a", Kind: "tcp", Interval: time.Second, Timeout: time.Second, Target: netip.MustParseAddrPort("10.0.0.1:80"),
		Source: netip.MustParseAddr("10.0.0.2"), Device: "eth1", Mark: 7,
	}
	a := assignment(1, &c)
	if a.GetAddress() != "10.0.0.1:80" || a.GetSourceAddress() != "10.0.0.2" || a.GetDevice() != "eth1" || a.GetMark() != 7 {
		t.Errorf("assignment = %v", a)
	}
	plain := assignment(1, &config.Check{})
	if plain.GetAddress() != "" || plain.GetSourceAddress() != "" || plain.GetDevice() != "" || plain.GetMark() != 0 {
		t.Errorf("assignment = %v, want nothing of a connection", plain)
	}
	other := c
	other.Mark = 8
	if keyOf(c) == keyOf(other) {
		t.Error("checks with different marks share a run")
	}
}
