package pluginhost

import (
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"syscall"
	"testing"
	"time"

	"github.com/vipward/vipward/core/config"
	"github.com/vipward/vipward/core/health"
)

// TestFiveHundredCrashesLeaveNothingBehind starts and kills a plugin without the pauses that a supervisor makes in between.
func TestFiveHundredCrashesLeaveNothingBehind(t *testing.T) {
	w := newWorld(t)
	p := newProcess(w.Host, config.Plugin{Name: "frozen"})
	defer p.cancel()
	round := func() {
		s, err := start(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		s.begin(p.ctx)
		s.runner.signal(syscall.SIGKILL, true)
		<-s.ended
		s.stop()
		if s.err == nil {
			t.Fatal("the crash was not noticed")
		}
	}
	round() // makes what is made once
	files, routines := openFiles(t), runtime.NumGoroutine()
	for range 500 {
		round()
	}
	for end := time.Now().Add(patience); openFiles(t) > files || runtime.NumGoroutine() > routines; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d descriptors and %d goroutines, before %d and %d", openFiles(t), runtime.NumGoroutine(), files, routines)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(w.o.RunDir, "*")); len(left) > 0 {
		t.Errorf("%d sockets are left: %v", len(left), left)
	}
	if n := children(t); n > 0 {
		t.Errorf("%d processes are left", n)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// children counts the processes of this one, the dead among them.
func children(t *testing.T) int {
	t.Helper()
	lists, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil || len(lists) == 0 {
		t.Fatalf("lists of children %v: %v", lists, err)
	}
	n := 0
	for _, list := range lists {
		text, _ := os.ReadFile(list)
		for _, b := range text {
			if b == ' ' {
				n++
			}
		}
	}
	return n
}

// TestTheMemoryOfTheHostIsBounded is about plugins that send more than anybody could want.
func TestTheMemoryOfTheHostIsBounded(t *testing.T) {
	const most = 20 << 20
	for _, fault := range []string{"giant", "stderr-flood", "stdout-flood", "long-line", "flood"} {
		t.Run(fault, func(t *testing.T) {
			w := newWorld(t)
			runtime.GC()
			before := memory()
			w.Apply(chaos(fault, ""), []config.Check{chaosCheck("a")}, nil)
			peak := before
			for end := time.Now().Add(2 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) { // a flood takes its time
				peak = max(peak, memory())
			}
			if grown := peak - before; grown > most {
				t.Errorf("the host has grown by %d KiB, want at most %d", grown>>10, most>>10)
			}
			for _, o := range w.observations("a") {
				if o.Outcome != health.Pass {
					t.Fatalf("observation %+v, want passes only", o)
				}
			}
		})
	}
}

// memory is what the program has from the kernel for its heap and its stacks and has not given back, in bytes.
func memory() int64 {
	sample := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(sample)
	return int64(sample[0].Value.Uint64() - sample[1].Value.Uint64()) // no machine has that much
}

// TestAResultAfterItsCheckIsGoneIsDropped is about a plugin that answers late, with failures: nobody hears of them.
func TestAResultAfterItsCheckIsGoneIsDropped(t *testing.T) {
	w := newWorld(t)
	w.Apply(chaos("late", ""), []config.Check{chaosCheck("a"), chaosCheck("b")}, nil)
	w.observed("a", 1)
	w.Apply(chaos("late", ""), []config.Check{chaosCheck("a")}, nil) // from now on it fails what it was told to forget
	before := w.status("chaos").Dropped
	w.until("late results are dropped", func() bool { return w.status("chaos").Dropped > before+10 })
	w.Apply(chaos("late", ""), []config.Check{chaosCheck("a"), chaosCheck("b")}, nil)
	have := len(w.observations("b"))
	w.observed("b", 3)
	for i, o := range w.observations("b")[have:] {
		if o.Outcome != health.Pass {
			t.Fatalf("observation %d of the new assignment is %+v: one of the old", i, o)
		}
	}
}
