package e2e

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/vipward/vipward/tests/lab/probe"
	"github.com/vipward/vipward/tests/lab/router"
	"github.com/vipward/vipward/tests/lab/topology"
)

// floodRate is that of the junk, in packets a second.
const floodRate = 50_000

// benchFlood measures how regular the adverts of a master are while somebody floods the network with junk, and what that costs.
func benchFlood(bin string, _ int, out io.Writer) error {
	const advert = 100 * time.Millisecond
	fmt.Fprintf(out, "Adverts each %v, heard by a third machine over 10 s, while %d packets a second of junk come in: malformed, of another\n", advert, floodRate)
	fmt.Fprintf(out, "virtual router, from behind a router, resignations and losing adverts of a stranger. CPU in percent of one core.\n\n")
	fmt.Fprintln(out, "| junk | by | time between adverts: median | p99 | longest | moves | CPU master | CPU backup |")
	fmt.Fprintln(out, "|---|---|---|---|---|---|---|---|")
	for _, rate := range []int{0, floodRate} {
		for _, by := range []struct {
			name string
			pair func(*T, time.Duration) flooded
		}{{"vipward", floodedVipward}, {"keepalived", floodedKeepalived}} {
			row := ""
			err := once(bin, "flood", func(t *T) { row = by.pair(t, advert).measure(rate) })
			if err != nil {
				return fmt.Errorf("%s: %w", by.name, err)
			}
			fmt.Fprintf(out, "| %d a second | %s | %s |\n", rate, by.name, row)
		}
	}
	return nil
}

// flooded is a pair that is up, with the processes of its two nodes.
type flooded struct {
	*lab
	master, backup func() []int
}

func floodedVipward(t *T, advert time.Duration) flooded {
	l := newPair(t, edit{`advert_interval   = "1s"`, fmt.Sprintf("advert_interval = %q", advert)})
	l.up()
	own := func(d *director) func() []int { return func() []int { return []int{d.proc.Pid()} } }
	return flooded{l, own(l.lb1), own(l.lb2)}
}

func floodedKeepalived(t *T, advert time.Duration) flooded {
	l := newNet(t)
	l.echoes()
	a := l.keepalived(topology.LB1, router.Settings{Version: 3, Interval: advert})
	b := l.keepalived(topology.LB2, router.Settings{Version: 3, Interval: advert})
	a.start(150)
	b.start(100)
	l.moved("lb1 is master", topology.LB1, 15*time.Second)
	time.Sleep(time.Second)
	return flooded{l, a.Tree, b.Tree}
}

// measure floods and listens, and is a row of the table.
func (f flooded) measure(rate int) string {
	const span = 10 * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), span)
	defer cancel()
	if rate > 0 {
		f.Background(func(context.Context) error {
			sent, err := probe.Flood(ctx, f.Node(topology.Client), frames(junk(f.Node(topology.Client))), rate)
			f.Logf("%d packets of junk were sent", sent)
			return err
		})
	}
	var other []time.Time
	heard := f.Background(func(context.Context) (err error) {
		other, err = probe.Adverts(ctx, f.Node(topology.RS2), f.Node(topology.LB2).Addr)
		return err
	})
	used := [2]time.Duration{cpu(f.T, f.master()...), cpu(f.T, f.backup()...)}
	came, err := probe.Adverts(ctx, f.Node(topology.RS1), f.Node(topology.LB1).Addr)
	f.Must(err)
	used[0], used[1] = cpu(f.T, f.master()...)-used[0], cpu(f.T, f.backup()...)-used[1]
	heard()
	gaps := probe.Gaps(came)
	if len(gaps) < 10 {
		f.Fatalf("%d adverts were heard", len(came))
	}
	moves := 0
	if len(other) > 0 {
		moves = 1
	}
	ms := func(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond)) }
	return fmt.Sprintf("%s | %s | %s | %d | %s | %s", ms(gaps[len(gaps)/2]), ms(gaps[len(gaps)*99/100]), ms(gaps[len(gaps)-1]), moves,
		percent(used[0], span), percent(used[1], span))
}

// flood has the client send junk for some time.
func (l *lab) flood(kinds []junkOf, rate int, span time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), span)
	defer cancel()
	sent, err := probe.Flood(ctx, l.Node(topology.Client), frames(kinds), rate)
	l.Must(err)
	l.Figure("packets of junk", sent)
}
