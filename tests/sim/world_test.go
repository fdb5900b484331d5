package sim

import (
	"path/filepath"
	"reflect"
	"testing"
	"time"
)

func TestClocksPart(t *testing.T) {
	c := clock{ppm: 500}
	a := c.read(10 * time.Second)
	c.wall = time.Hour
	b := c.read(1010 * time.Second)
	if d := b.Sub(a); d != 1000500*time.Millisecond {
		t.Errorf("the monotonic clock went on by %s, want 1000.5 s", d)
	}
	if d := b.Round(0).Sub(a.Round(0)); d != time.Hour+1000*time.Second {
		t.Errorf("the wall clock went on by %s, want an hour and 1000 s", d)
	}
	if got := a.Add(time.Second).Sub(a); got != time.Second {
		t.Errorf("a second later is %s later", got)
	}
	if want := born.Add(10 * time.Second); !a.Round(0).Equal(want) {
		t.Errorf("the clock shows %s, want %s", a.Round(0), want)
	}
}

// The same scenario gives the same run (I23), and another seed another one.
func TestSameSeedGivesTheSameRun(t *testing.T) {
	for seed := range uint64(4) {
		a, b := Play(Generate(seed, 15*time.Minute)), Play(Generate(seed, 15*time.Minute))
		if a.sum != b.sum || a.events != b.events {
			t.Errorf("I23 determinism: seed %d: two runs differ: %x after %d events and %x after %d", seed, a.sum, a.events, b.sum, b.events)
		}
		if c := Play(Generate(seed+1, 15*time.Minute)); a.sum == c.sum {
			t.Errorf("seeds %d and %d give the same run", seed, seed+1)
		}
	}
}

// A file holds all that a run depends on.
func TestScenarioInAFileIsTheSame(t *testing.T) {
	s := Generate(3, 10*time.Minute)
	name := filepath.Join(t.TempDir(), "s.json")
	if err := s.Write(name); err != nil {
		t.Fatal(err)
	}
	got, err := Read(name)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(s, got) {
		t.Errorf("written and read:\n%v\n%v", s, got)
	}
}
