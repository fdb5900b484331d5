package e2e

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vipward/vipward/tests/lab/probe"
	"github.com/vipward/vipward/tests/lab/router"
	"github.com/vipward/vipward/tests/lab/scenario"
	"github.com/vipward/vipward/tests/lab/topology"
)

// benchEnds measures what a client sees of a master's end, with a pair of vipward and with one of keepalived in turn.
func benchEnds(bin string, rounds int, out io.Writer) error {
	fmt.Fprintf(out, "Silence that a client sees at a probe each millisecond, median (least to most) of %d rounds; keepalived is Debian's.\n\n", rounds)
	fmt.Fprintln(out, "| adverts | on the master | vipward | keepalived | two owners, vipward | two owners, keepalived |")
	fmt.Fprintln(out, "|---|---|---|---|---|---|")
	for _, advert := range []time.Duration{time.Second, 100 * time.Millisecond, 10 * time.Millisecond} {
		for _, f := range ends() {
			cells, owners := []string{advert.String(), f.name}, []string(nil)
			for _, make := range []func(*T, time.Duration) bench{vipwardBench, keepalivedBench} {
				silence, two, err := measureEnd(bin, rounds, advert, f, make)
				if err != nil {
					return fmt.Errorf("%s at %s: %w", f.name, advert, err)
				}
				cells, owners = append(cells, spread(silence)), append(owners, spread(two))
			}
			fmt.Fprintf(out, "| %s |\n", strings.Join(append(cells, owners...), " | "))
		}
	}
	return nil
}

// end is one way in which a master goes.
type end struct {
	name string
	do   func(bench)
}

func ends() []end {
	return []end{
		{"kill -9 of everything", func(b bench) { b.kill() }},
		{"clean stop", func(b bench) { b.stop() }},
		{"planned hand-over", func(b bench) { b.handOver() }},
		{"its link goes down", func(b bench) { b.lab.Must(b.lab.Cut(topology.LB1)) }},
		{"its port goes dark", func(b bench) { b.lab.Must(b.lab.Dark(topology.LB1)) }},
		{"SIGSTOP of everything", func(b bench) { b.pause() }},
	}
}

// bench is a pair that is up, with what can be done to its master.
type bench struct {
	lab                         *lab
	kill, stop, handOver, pause func()
}

func vipwardBench(t *T, advert time.Duration) bench {
	l := newPair(t, edit{`advert_interval   = "1s"`, fmt.Sprintf("advert_interval = %q", advert)})
	l.up()
	return bench{l, l.lb1.kill, l.lb1.terminate, func() { l.lb1.do("failover", "web") }, l.lb1.proc.Pause}
}

// keepalivedBench has no hand-over but a stop.
func keepalivedBench(t *T, advert time.Duration) bench {
	l := newNet(t)
	l.echoes()
	a := l.keepalived(topology.LB1, router.Settings{Version: 3, Interval: advert})
	b := l.keepalived(topology.LB2, router.Settings{Version: 3, Interval: advert})
	a.start(150)
	b.start(100)
	l.moved("lb1 is master", topology.LB1, 15*time.Second)
	time.Sleep(4 * advert)
	return bench{l, a.Kill, a.Stop, a.Stop, a.Pause}
}

// pairsAtATime are measured side by side: most of a round is waiting.
const pairsAtATime = 7

func measureEnd(bin string, rounds int, advert time.Duration, f end, make func(*T, time.Duration) bench) (silence, two []time.Duration, err error) {
	var mu sync.Mutex
	round := scenario.Scenario{Name: f.name, Run: func(t *T) {
		b := make(t, advert)
		stop := b.lab.measure(probe.Config{UDP: time.Millisecond})
		time.Sleep(500 * time.Millisecond)
		f.do(b)
		time.Sleep(4*advert + 2*time.Second)
		report := stop()
		longest, _ := report.UDP.Silence()
		mu.Lock()
		defer mu.Unlock()
		silence, two = append(silence, longest), append(two, report.Wire.TwoOwners())
	}}
	scenario.Run(slices.Repeat([]scenario.Scenario{round}, rounds), bin, pairsAtATime, func(r scenario.Result) {
		if !r.OK {
			err = errors.New(strings.Join(append(r.Failures, r.Log...), "\n"))
		}
	})
	return silence, two, err
}

// spread is the median with the extremes, in milliseconds.
func spread(d []time.Duration) string {
	slices.Sort(d)
	ms := func(d time.Duration) string { return fmt.Sprintf("%.0f", float64(d)/float64(time.Millisecond)) }
	return fmt.Sprintf("%s (%s to %s) ms", ms(d[len(d)/2]), ms(d[0]), ms(d[len(d)-1]))
}
