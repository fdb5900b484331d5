package e2e

import (
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/tests/lab/topology"
)

// benchPlugin measures what a plugin costs by itself, and how long one is missed that dies with many targets.
func benchPlugin(bin string, rounds int, out io.Writer) error {
	fmt.Fprintf(out, "One plugin (tcp), median (least to most) of %d rounds.\n\n", rounds)
	fmt.Fprintln(out, "| what | figure |")
	fmt.Fprintln(out, "|---|---|")
	var starts []time.Duration
	var resident, private int64
	for range rounds {
		err := once(bin, "plugin", func(t *T) {
			l := newNet(t)
			d, _ := l.checking(workload{"tcp", 1})
			resident, private = memory(l.T, d.plugin("tcp").Pid)
			starts = append(starts, d.restart("tcp"))
			d.terminate()
		})
		if err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "| from its end to the next one that is ready | %s |\n", spread(starts))
	fmt.Fprintf(out, "| memory with one target: resident, and written by itself | %s, %s |\n", mib(resident), mib(private))

	const targets = 10000
	var first, again []time.Duration
	for range min(rounds, 3) {
		err := once(bin, "crash", func(t *T) {
			l := newNet(t)
			d, c := l.checking(workload{"tcp", targets})
			seq, before := d.last(), d.plugin("tcp").Pid
			t.Must(unix.Kill(before, unix.SIGKILL))
			began, checked := time.Now(), c.watch()
			until := func(n int) time.Duration {
				t.Eventually(fmt.Sprintf("%d targets are checked again", n), 30*time.Second, func() error {
					if got := checked(); got < n {
						return fmt.Errorf("%d are", got)
					}
					return nil
				})
				return time.Since(began)
			}
			first, again = append(first, until(1)), append(again, until(targets))
			if changes := d.since(seq, stateChange); len(changes) > 0 {
				t.Errorf("the crash changed %d verdicts, the first is %+v", len(changes), changes[0])
			}
			d.terminate()
		})
		if err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "| kill -9 with %d targets at 1 s: until the first is checked again | %s |\n", targets, spread(first))
	fmt.Fprintf(out, "| until every one has been checked again | %s |\n", spread(again))
	return nil
}

// restart kills a plugin and returns how long it took from the notice of its end until the next process was ready.
func (d *director) restart(plugin string) time.Duration {
	seq := d.last()
	d.lab.Must(unix.Kill(d.plugin(plugin).Pid, unix.SIGKILL))
	var took time.Duration
	d.lab.Eventually("the plugin runs again", 20*time.Second, func() error {
		var exited time.Time
		for _, o := range d.since(seq, func(o occurrence) bool { return o.Subject == plugin }) {
			switch o.Code {
			case "plugin.exited":
				exited = o.Time
			case "plugin.started":
				took = o.Time.Sub(exited)
				return nil
			}
		}
		return errors.New("it does not")
	})
	return took
}

// checking is a director that checks a crowd, each server at least once so far.
func (l *lab) checking(w workload) (*director, *crowd) {
	c := l.crowd(topology.LB1, w.kind == "http")
	d := l.newDirector(topology.LB1, manyServers(w))
	d.start()
	l.Eventually("every server is up", 60*time.Second, func() error {
		up := 0
		for _, s := range d.status().Services {
			for _, r := range s.RealServers {
				if r.State == "up" {
					up++
				}
			}
		}
		if up < w.targets {
			return fmt.Errorf("%d are", up)
		}
		time.Sleep(100 * time.Millisecond) // a status of many servers is no small thing to make
		return nil
	})
	return d, c
}
