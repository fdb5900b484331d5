package control

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vipward/vipward/core/event"
)

// at is an event that happened so many seconds after noon, with that number.
func at(n int) event.Event {
	return event.Event{Seq: uint64(n), Time: noon().Add(time.Duration(n) * time.Second), Code: "test", Kind: event.Daemon, Subject: "x"}
}

func numbers(events []event.Event) []uint64 {
	out := []uint64{}
	for _, e := range events {
		out = append(out, e.Seq)
	}
	return out
}

func TestRingKeepsTheLatestInOrder(t *testing.T) {
	var r Ring
	for n := range ringSize + 10 {
		r.Append(at(n))
	}
	got := numbers(r.Since(time.Time{}))
	if len(got) != ringSize || got[0] != 10 || !slices.IsSorted(got) {
		t.Errorf("the ring has %d events from %d on, sorted %v; want %d from 10 on", len(got), got[0], slices.IsSorted(got), ringSize)
	}
}

func TestRingSinceAnInstant(t *testing.T) {
	var r Ring
	for n := range 5 {
		r.Append(at(n))
	}
	if got := numbers(r.Since(noon().Add(3 * time.Second))); !slices.Equal(got, []uint64{3, 4}) {
		t.Errorf("since 3 s after noon = %v, want 3 and 4", got)
	}
	if got := r.Since(noon().Add(time.Hour)); got == nil || len(got) != 0 {
		t.Errorf("since later = %v, want an empty list", got)
	}
}

func TestFollowerMissesNothingBetweenPastAndPresent(t *testing.T) {
	var r Ring
	r.Append(at(1))
	past, live, err := r.Subscribe(t.Context(), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	r.Append(at(2))
	if got := append(numbers(past), (<-live).Seq); !slices.Equal(got, []uint64{1, 2}) {
		t.Errorf("the follower got %v, want 1 and 2", got)
	}
}

func TestSlowFollowerIsCutOffAndDoesNotBlock(t *testing.T) {
	var r Ring
	_, slow, err := r.Subscribe(t.Context(), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for n := range followerBuffer + 1 {
		r.Append(at(n))
	}
	got := 0
	for range slow { // ends, since the channel is closed
		got++
	}
	if got != followerBuffer || r.Cut() != 1 {
		t.Errorf("the follower got %d events and %d were cut off, want %d and 1", got, r.Cut(), followerBuffer)
	}
	r.Append(at(0)) // to nobody
}

func TestFollowerEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r Ring
		ctx, cancel := context.WithCancel(t.Context())
		_, live, err := r.Subscribe(ctx, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		synctest.Wait()
		if _, open := <-live; open {
			t.Error("the channel gave an event, want it closed")
		}
		if r.Cut() != 0 {
			t.Errorf("cut = %d, want 0: this one left by itself", r.Cut())
		}
	})
}

func TestFollowersAreBounded(t *testing.T) {
	var r Ring
	for range maxFollowers {
		if _, _, err := r.Subscribe(t.Context(), time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := r.Subscribe(t.Context(), time.Time{}); !errors.Is(err, ErrTooManyFollowers) {
		t.Errorf("one more = %v, want %v", err, ErrTooManyFollowers)
	}
}
