package sim

import (
	"flag"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	seed  = flag.Uint64("seed", 0, "play this seed alone; 0 for the standard ones")
	wire  = flag.Bool("wire", false, "tell of each packet in the trace")
	lines = flag.Int("lines", 80, "so many lines of the trace of a failure")
	hours = flag.Float64("hours", 0, "simulated hours; 0 for 60, or one of a single seed")
)

// each is how long one of many seeds is played: worlds are worth more than hours.
const each = 30 * time.Minute

func TestWorlds(t *testing.T) {
	total := time.Duration(*hours * float64(time.Hour))
	if *seed != 0 {
		if total == 0 {
			total = time.Hour
		}
		t.Log(examine(t, *seed, total))
		return
	}
	if total == 0 {
		total = 60 * time.Hour
	}
	n := uint64((total + each - 1) / each)
	var sum tally
	var mu sync.Mutex
	var wg sync.WaitGroup
	next := make(chan uint64, n)
	for s := range n {
		next <- s + 1
	}
	close(next)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for s := range next {
				one := examine(t, s, each)
				mu.Lock()
				sum.add(one)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	t.Logf("seeds 1 to %d: %s", n, sum)
}

// tally is what was played.
type tally struct {
	time           time.Duration
	events         uint64
	faults, worlds int
}

func (a *tally) add(b tally) {
	a.time, a.events, a.faults, a.worlds = a.time+b.time, a.events+b.events, a.faults+b.faults, a.worlds+b.worlds
}

func (a tally) String() string {
	return fmt.Sprintf("%.1f simulated hours of %d worlds, %d faults, %d events", a.time.Hours(), a.worlds, a.faults, a.events)
}

func examine(t *testing.T, seed uint64, length time.Duration) tally {
	s := Generate(seed, length)
	w := newWorld(s)
	w.packets, w.lines = *wire, *lines
	w.run(length)
	if w.failure != nil {
		t.Errorf("seed %d: %v\n%v\n%s", seed, w.failure, s.Topology, strings.Join(w.trace[max(0, len(w.trace)-*lines):], "\n"))
	}
	return tally{w.now, w.events, len(s.Faults), 1}
}
