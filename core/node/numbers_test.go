package node

import (
	"testing"

	"github.com/vipward/vipward/core/health"
	"github.com/vipward/vipward/core/vrrp"
)

// tracking is the configuration of a node whose instance has one track of a check of its own.
func tracking(t Track) Config {
	c := config()
	t.Check, t.Name = "track/x", "x"
	c.Checkers = append(c.Checkers, Checker{Name: "file.x", Check: t.Check, Health: health.Config{Rise: 1, Fall: 2}})
	c.Instances[0].Tracks = []Track{t}
	return c
}

func read(outcome health.Outcome, value float64) Observed {
	o := Observed{Check: "track/x", Observation: health.Observation{Outcome: outcome, Reason: "because", Weight: -1}}
	if outcome != health.Error {
		o.Values = map[string]float64{"value": value}
	}
	return o
}

func TestANumberInAFileIsAddedToThePriority(t *testing.T) {
	for _, c := range []struct {
		name  string
		track Track
		value float64
		want  uint8
		state vrrp.State
	}{
		{"times the weight", Track{Weight: 1}, 20, 170, vrrp.Backup},
		{"a negative one", Track{Weight: 2}, -30, 90, vrrp.Backup},
		{"a negative weight", Track{Weight: -10}, 5, 100, vrrp.Backup},
		{"reverse changes the sign", Track{Weight: 1, Reverse: true}, 20, 130, vrrp.Backup},
		{"the sum stays above 0", Track{Weight: 1}, -200, 1, vrrp.Backup},
		{"the sum stays below the owner's priority", Track{Weight: 1}, 253, 254, vrrp.Backup},
		{"a fraction is rounded", Track{Weight: 3}, 0.5, 152, vrrp.Backup},
		{"-253 is the least", Track{Weight: 1}, -253, 1, vrrp.Backup},
		{"below -253 is FAULT", Track{Weight: 1}, -254, 1, vrrp.Fault},
		{"far below, too", Track{Weight: 253}, -1e300, 1, vrrp.Fault},
		{"far above is the most", Track{Weight: 253}, 1e300, 254, vrrp.Backup},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.track.Kind, c.track.Weighted = TrackFile, true
			r := start(t, tracking(c.track))
			r.wantState(vrrp.Init) // it waits for the number
			r.give(read(health.Pass, c.value))
			r.wantState(c.state)
			if got := r.node.instances[0].router.Effective(); got != c.want {
				t.Errorf("effective priority = %d, want %d", got, c.want)
			}
			r.give(read(health.Error, 0))
			r.wantState(c.state)
			if got := r.node.instances[0].router.Effective(); got != c.want {
				t.Errorf("effective priority = %d while the file cannot be read, want %d as before", got, c.want)
			}
			r.give(read(health.Pass, 0))
			r.wantState(vrrp.Backup)
			if got := r.node.instances[0].router.Effective(); got != 150 {
				t.Errorf("effective priority = %d with 0 in the file, want 150", got)
			}
		})
	}
}

func TestATrackWithACheckOfItsOwn(t *testing.T) {
	for _, kind := range []TrackKind{TrackScript, TrackProcess, TrackFile} {
		r := start(t, tracking(Track{Kind: kind}))
		r.give(read(health.Pass, 0))
		r.wantState(vrrp.Backup)
		r.give(read(health.Fail, 1))
		r.wantState(vrrp.Backup)
		r.give(read(health.Fail, 1))
		r.wantState(vrrp.Fault)
		r.wantEvent(string(kind) + " x is down: because")
		r.give(read(health.Error, 1))
		r.wantState(vrrp.Fault)
		r.give(read(health.Pass, 0))
		r.wantState(vrrp.Backup)
	}
}

func TestAWeightMovesTheDeadlineOnTheSpot(t *testing.T) {
	r := start(t, tracking(Track{Kind: TrackScript, Weighted: true, Weight: -50}))
	r.give(read(health.Pass, 0))
	before := r.node.instances[0].router.Deadline()
	r.give(read(health.Fail, 0))
	r.give(read(health.Fail, 0))
	skew := func(p uint8) int64 { return vrrp.SkewTime(3, p, r.node.instances[0].cfg.VRRP.Interval).Nanoseconds() }
	if got, want := r.node.instances[0].router.Deadline().Sub(before).Nanoseconds(), skew(100)-skew(150); got != want {
		t.Errorf("the master down timer moved by %d ns, want %d: the difference of the skews of 100 and 150", got, want)
	}
}
