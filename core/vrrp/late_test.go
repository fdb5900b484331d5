package vrrp

import (
	"testing"
	"time"
)

// late gives a backup an advert that came before the step, as a process does that was asleep.
func late(r *Router, now, at time.Time, priority uint8) {
	in := message(func(_ *Header, a *Advert) { a.Priority = priority })
	in.At = at
	r.Step(now, in)
}

// after is an instant of the tests below.
func after(d time.Duration) time.Time { return time.Unix(1000, 0).Add(d) }

func backup() *Router {
	r := NewRouter(pair(func(c *Config) { c.Gated = true }))
	r.Step(after(0), Start{})
	return r
}

func TestAnAdvertCountsFromWhenItCame(t *testing.T) {
	r := backup()
	late(r, after(0), after(0), 200)
	end := r.Deadline()
	late(r, end.Add(time.Millisecond), after(2*time.Second), 200) // the process was asleep until after its timer
	if want := end.Add(2 * time.Second); !r.Deadline().Equal(want) || r.Wants() != "" {
		t.Errorf("it waits until %v, want %v", r.Deadline(), want)
	}
	if _, _, last := r.Master(); !last.Equal(after(2 * time.Second)) {
		t.Errorf("the master was heard last at %v", last)
	}
}

func TestOldAdvertsDoNotMakeADeadMasterLiveLonger(t *testing.T) {
	r := backup()
	for _, s := range []time.Duration{0, 1, 2} {
		late(r, after(time.Minute), after(s*time.Second), 200) // all read at once, a minute later
	}
	if !r.Overdue(after(time.Minute)) {
		t.Errorf("it waits until %v for a master that was silent for 58 s", r.Deadline())
	}
	late(r, after(time.Minute), after(2*time.Second), 0) // it has resigned then
	if !r.Overdue(after(time.Minute)) {
		t.Errorf("it waits until %v after a resignation 58 s ago", r.Deadline())
	}
}

func TestWhenAnAdvertCameIsNeitherLaterThanNowNorBeforeTheOneBefore(t *testing.T) {
	r := backup()
	late(r, after(time.Second), after(time.Hour), 200)
	if _, _, last := r.Master(); !last.Equal(after(time.Second)) {
		t.Errorf("one from the future came at %v, want the instant of the step", last)
	}
	late(r, after(2*time.Second), after(-time.Hour), 200) // the wall clock was set
	if _, _, last := r.Master(); !last.Equal(after(time.Second)) {
		t.Errorf("one from the past came at %v, want that of the one before", last)
	}
}

func TestOverdueIsABackupWhoseTimeHasCome(t *testing.T) {
	r := backup()
	end := r.Deadline()
	if r.Overdue(end.Add(-time.Nanosecond)) || !r.Overdue(end) {
		t.Errorf("a backup is overdue before its time, or not at it")
	}
	r.Step(end, Timeout{})
	r.Step(end, Promote{})
	if r.State() != Master || r.Overdue(end.Add(time.Hour)) {
		t.Errorf("%s is overdue", r.State())
	}
}

// Who is alone has nobody to make room for. What has come meanwhile is read all the same before it speaks.
func TestAMasterThatIsAloneOutlastsAStall(t *testing.T) {
	for _, c := range []struct {
		name  string
		alone time.Duration
		stall time.Duration
		want  State
	}{
		{"a peer may have taken over", 0, 4 * time.Second, Backup},
		{"nobody is near", time.Minute, 4 * time.Second, Master},
		{"one may have come meanwhile", time.Minute, time.Minute + time.Nanosecond, Backup},
	} {
		r := backup()
		r.Step(r.Deadline(), Timeout{})
		begin := after(time.Minute)
		r.Step(begin, Promote{})
		r.Step(begin, Alone{For: c.alone})
		if r.Overdue(begin.Add(3*time.Second)) || c.alone > 0 && !r.Overdue(begin.Add(c.stall)) {
			t.Errorf("%s: what has come is read first where it was not stopped, or not where it was", c.name)
		}
		out := r.Step(begin.Add(c.stall), Timeout{})
		if r.State() != c.want || (len(out.Adverts) > 0) != (c.want == Master) {
			t.Errorf("%s: it is %s and sends %d adverts, want %s", c.name, r.State(), len(out.Adverts), c.want)
		}
	}
}
