package sim

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	seed   = flag.Uint64("seed", 0, "play this seed alone; 0 for the standard ones")
	hours  = flag.Float64("hours", 0, "simulated hours; 0 for 40, or one of a single seed")
	replay = flag.String("replay", "", "play the scenario in this file alone, with all packets in the trace")
	lines  = flag.Int("lines", 60, "show so many lines of the trace of a failure")
	plays  = flag.Int("shrink", 500, "play so many worlds to find a smaller scenario that fails as well")
)

// each is how long one of many seeds is played: worlds are worth more than hours.
const each = 30 * time.Minute

func TestWorlds(t *testing.T) {
	switch total := time.Duration(*hours * float64(time.Hour)); {
	case *replay != "":
		t.Skip("a scenario is replayed")
	case *seed != 0 && total == 0:
		report("seed %d: %s", *seed, examine(t, *seed, time.Hour))
	case *seed != 0:
		report("seed %d: %s", *seed, examine(t, *seed, total))
	case total == 0:
		worlds(t, 40*time.Hour)
	default:
		worlds(t, total)
	}
}

// worlds plays the first seeds, each for a while, on all processors.
func worlds(t *testing.T, total time.Duration) {
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // nearly all that is allocated is short-lived
	n := uint64((total + each - 1) / each)
	next := make(chan uint64, n)
	for s := range n {
		next <- s + 1
	}
	close(next)
	var sum tally
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for s := range next {
				if t.Failed() {
					return
				}
				one := examine(t, s, each)
				mu.Lock()
				sum.add(one)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	report("seeds 1 to %d: %s", n, sum)
}

// report shows on a terminal what was played also where all is well; go test keeps it to itself where it tests other packages too.
func report(format string, args ...any) { fmt.Printf(format+"\n", args...) }

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

// examine plays one seed. Where an invariant does not hold it shows what happened, and leaves the smallest scenario that it can
// find in a file.
func examine(t *testing.T, seed uint64, length time.Duration) tally {
	s := Generate(seed, length)
	w := Play(s)
	if w.failure != nil {
		t.Errorf("seed %d: %v\n%v\n%s", seed, w.failure, s.Topology, w.tail())
		if *plays > 0 {
			s = Shrink(s, w.failure, *plays)
			name := filepath.Join(os.TempDir(), fmt.Sprintf("vipward-sim-%d.json", seed))
			if err := s.Write(name); err != nil {
				t.Error(err)
			}
			t.Errorf("shrunk to %d faults: make sim REPLAY=%s\n%v\n%s", len(s.Faults), name, s.Topology, Play(s).tail())
		}
	}
	return tally{w.now, w.events, len(s.Faults), 1}
}

func (w *World) tail() string { return strings.Join(w.trace[max(0, len(w.trace)-*lines):], "\n") }

func TestReplay(t *testing.T) {
	if *replay == "" {
		t.Skip("no scenario is given with -replay")
	}
	s, err := Read(*replay)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(s)
	w.packets, w.lines = true, max(*lines, 5000)
	w.run(time.Duration(s.Length))
	fmt.Println(strings.Join(w.trace, "\n"))
	if w.failure != nil {
		t.Error(w.failure)
	}
}

// Each failure of the past stays here for ever.
func TestPastFailures(t *testing.T) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".json"), func(t *testing.T) {
			t.Parallel()
			s, err := Read(f)
			if err != nil {
				t.Fatal(err)
			}
			if w := Play(s); w.failure != nil {
				t.Errorf("%s: %v\n%s", s.Note, w.failure, w.tail())
			}
		})
	}
}
