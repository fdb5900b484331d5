package node

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// The packets are dropped before the VIP comes, and after it has gone.
func TestPacketsToTheVIPsAreRefusedInEveryState(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Instance)
		want   []netip.Addr
	}{
		{"by default they are accepted", func(*Instance) {}, nil},
		{"with accept = false", func(i *Instance) { i.Refuse = true }, []netip.Addr{vip.Addr()}},
		{"the owner accepts what is its own", func(i *Instance) { i.Refuse, i.VRRP.Priority = true, 255 }, nil},
	} {
		cfg := config()
		cfg.Instances[0].Tracks = nil
		c.change(&cfg.Instances[0])
		r := start(t, cfg)
		if got := fmt.Sprint(r.desired.Refused); got != fmt.Sprint(c.want) {
			t.Errorf("%s: at the start refused are %s, want %v", c.name, got, c.want)
		}
		r.wait(r.node.Deadline().Sub(r.now))
		if got := fmt.Sprint(r.desired.Refused); got != fmt.Sprint(c.want) {
			t.Errorf("%s: as master refused are %s, want %v", c.name, got, c.want)
		}
		r.give(Stop{})
		r.wait(10 * time.Second) // no peer takes over
		if len(r.desired.Refused) != 0 {
			t.Errorf("%s: after the end refused are %v", c.name, r.desired.Refused)
		}
	}
}
