package config

import (
	"testing"
	"time"

	"github.com/vipward/vipward/core/node"
	"github.com/vipward/vipward/core/vrrp"
)

func TestWhatAFailureWouldDo(t *testing.T) {
	weight := func(w int) node.Track {
		return node.Track{Kind: node.TrackChecker, Name: "local", Weighted: true, Weight: w}
	}
	for _, c := range []struct {
		name      string
		p, q      int
		track     node.Track
		edit      func(*vrrp.Config)
		detect    time.Duration
		want, not string
	}{
		{"a weight that is enough: the other's timer runs out", 150, 100, weight(-60), nil, 0, "moves to lb2 within 3.6 s", ""},
		{"what the check takes is added", 150, 100, weight(-60), nil, 2500 * time.Millisecond, "moves to lb2 within 3.6 s, and up to 2.5 s until it counts as down", ""},
		{"a weight that is too small", 100, 50, weight(-20), nil, 0, "", "100 - 20 is still above 50"},
		{"a weight that makes them equal: the master stays", 150, 100, weight(-50), nil, 0, "", "150 - 50 is not below 100"},
		{"a positive weight that is lost", 170, 160, weight(20), nil, 0, "moves to lb2 within 3.4 s", ""},
		{"the least priority is 1", 10, 1, weight(-60), nil, 0, "", "10 - 60 is not below 1"},
		{"no preemption", 150, 100, weight(-60), func(c *vrrp.Config) { c.Preempt = false }, 0, "", "no preemption with a weight"},
		{"a delay before it preempts", 150, 100, weight(-60), func(c *vrrp.Config) { c.PreemptDelay = 30 * time.Second }, 0, "moves to lb2 within 33.6 s", ""},
		{"the owner", 255, 100, weight(-60), nil, 0, "", "priority 255 owns it and is not lowered by weights"},
		{
			"without a weight the master resigns, whoever preempts", 150, 100,
			node.Track{Kind: node.TrackChecker, Name: "local"},
			func(c *vrrp.Config) { c.Preempt = false }, 0, "moves to lb2 within 0.61 s", "",
		},
		{
			"another interface", 150, 100,
			node.Track{Kind: node.TrackInterface, Name: "eth1"},
			nil, 0, "moves to lb2 within 0.61 s", "",
		},
		{
			"on the interface of the adverts nobody hears the resignation", 150, 100,
			node.Track{Kind: node.TrackInterface, Name: "eth0"},
			nil, 0, "moves to lb2 within 3.6 s", "",
		},
		{
			"fast adverts", 150, 100, weight(-60),
			func(c *vrrp.Config) { c.Interval = 100 * time.Millisecond }, 0, "moves to lb2 within 0.36 s", "",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := election{
				instance: "web", best: contender{"lb1", c.p}, second: contender{"lb2", c.q}, iface: "eth0",
				protocol: vrrp.Config{Version: 3, Interval: time.Second, Preempt: true},
			}
			if c.edit != nil {
				c.edit(&e.protocol)
			}
			want := "web: if " + string(c.track.Kind) + " " + c.track.Name + " fails on lb1, the VIP " + c.want
			if c.not != "" {
				want += "does not move: " + c.not
			}
			f, advice := e.foretell(c.track, c.detect)
			if f.Text != want {
				t.Errorf("Text = %q, want %q", f.Text, want)
			}
			if f.Moves != (c.not == "") || f.Moves != (f.To == "lb2") || f.Moves != (f.WithinMS > 0) || f.Moves != (advice == "") {
				t.Errorf("foretell = %+v, advice %q", f, advice)
			}
		})
	}
}

func TestAReversedTrackFailsByPassing(t *testing.T) {
	e := election{instance: "web", best: contender{"lb1", 150}, second: contender{"lb2", 100}, protocol: vrrp.Config{Version: 3, Interval: time.Second}}
	f, _ := e.foretell(node.Track{Kind: node.TrackChecker, Name: "maintenance", Reverse: true}, 0)
	if want := "web: if checker maintenance passes (reverse) on lb1, the VIP moves to lb2 within 0.61 s"; f.Text != want {
		t.Errorf("Text = %q, want %q", f.Text, want)
	}
}

const pairOfGroups = `node "a" { address = "10.0.0.1" }
node "b" { address = "10.0.0.2" }
checker "tcp" "local" {}
vrrp_instance "web" {
  interface         = "eth0"
  virtual_router_id = 51
  priority          = { a = 150, b = 100 }
  virtual_address "10.0.0.100/32" {}
}
vrrp_instance "db" {
  interface         = "eth1"
  virtual_router_id = 52
  priority          = { a = 150, b = 100 }
  virtual_address "10.1.0.100/32" {}
}
vrrp_sync_group "all" {
  instances = ["web", "db"]
  track "checker" { name = "local" }
}
`

func TestTheTracksOfAGroupAreForetoldOfEachMember(t *testing.T) {
	c := mustLoad(t, pairOfGroups, "a")
	if len(c.Forecasts) != 2 || c.Forecasts[0].Instance != "web" || c.Forecasts[1].Instance != "db" || !c.Forecasts[1].Moves {
		t.Errorf("Forecasts = %+v, want one of each member", c.Forecasts)
	}
	if g := c.Node.Groups; len(g) != 1 || len(g[0].Instances) != 2 || len(g[0].Tracks) != 1 {
		t.Errorf("Groups = %+v, want both in it with its track", g)
	}
}
