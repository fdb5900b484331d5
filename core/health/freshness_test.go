package health_test

import (
	"testing"
	"time"

	"github.com/vipward/vipward/core/health"
)

func TestFreshFor(t *testing.T) {
	if d := health.FreshFor(10*time.Second, 5*time.Second); d != 26*time.Second {
		t.Errorf("FreshFor = %v, want two intervals, a time-out and a second: 26s", d)
	}
}

func TestFreshness(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(1000, 0).Add(time.Duration(s) * time.Second) }
	fresh := func() health.Freshness { return health.NewFreshness(4*time.Second, at(0)) }
	t.Run("a check expires once when its time is over", func(t *testing.T) {
		f := fresh()
		if f.Expire(at(3)) || f.Stale() {
			t.Error("it is stale before its time")
		}
		if !f.Expire(at(4)) || !f.Stale() || f.Expire(at(5)) || !f.Due().IsZero() {
			t.Error("it does not expire exactly once after 4 s")
		}
	})
	t.Run("a result moves the end", func(t *testing.T) {
		f := fresh()
		if f.Hear(at(3)) {
			t.Error("a result in time ends nothing")
		}
		if due := f.Due(); !due.Equal(at(7)) {
			t.Errorf("due at %v, want %v", due, at(7))
		}
	})
	t.Run("a late result makes it fresh", func(t *testing.T) {
		f := fresh()
		f.Expire(at(4))
		if !f.Hear(at(9)) || f.Stale() {
			t.Error("it is still stale")
		}
	})
	t.Run("what is assumed is stale, is told by no end, and expires like any other", func(t *testing.T) {
		f := fresh()
		f.Assume(at(-60))
		if !f.Stale() || f.Expired() || !f.Heard().Equal(at(-60)) {
			t.Errorf("assumed: %+v", f)
		}
		if g := f; g.Hear(at(1)) || g.Stale() {
			t.Error("the first result does not make it fresh in silence")
		}
		if !f.Expire(at(4)) {
			t.Error("it does not expire")
		}
	})
	t.Run("without a limit it is fresh for ever", func(t *testing.T) {
		f := health.NewFreshness(0, at(0))
		if f.Expire(at(1e6)) || f.Stale() {
			t.Error("it expired")
		}
	})
}
