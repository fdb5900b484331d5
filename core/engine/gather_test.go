package engine

import (
	"testing"

	"github.com/vipward/vipward/core/event"
	"github.com/vipward/vipward/core/node"
)

func TestResultsThatWaitAreOneInputAndNothingIsLostBetweenThem(t *testing.T) {
	l := newLoop(node.New(node.Config{}))
	for range 3 {
		l.Add(node.Observed{Check: "a"})
	}
	l.Add(node.Told{Event: event.Event{Code: "x"}})
	l.Add(node.Observed{Check: "b"})

	if all, ok := l.gather(<-l.routine).(node.Observations); !ok || len(all) != 3 {
		t.Errorf("the first input is %v, want three results", all)
	}
	if told, ok := l.left.(node.Told); !ok || told.Event.Code != "x" {
		t.Fatalf("left is %v, want the event that stood between the results", l.left)
	}
	next := l.left
	l.left = nil
	if in, ok := l.gather(next).(node.Told); !ok || in.Event.Code != "x" || len(l.routine) != 1 {
		t.Errorf("the event became %v with %d inputs left, want it as it is and one", in, len(l.routine))
	}
	if in, ok := l.gather(<-l.routine).(node.Observed); !ok || in.Check != "b" {
		t.Errorf("a single result became %v", in)
	}
}

func TestOneInputHasABoundedNumberOfResults(t *testing.T) {
	l := newLoop(node.New(node.Config{}))
	for range gatherSize + 10 {
		l.Add(node.Observed{})
	}
	if all := l.gather(<-l.routine).(node.Observations); len(all) != gatherSize || len(l.routine) != 10 {
		t.Errorf("%d results in one input and %d left, want %d and 10", len(all), len(l.routine), gatherSize)
	}
}
