package nemesis

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vipward/vipward/tests/lab/probe"
	"github.com/vipward/vipward/tests/lab/scenario"
)

// perPair is how many rounds one pair plays; the others are played beside it by further pairs.
const perPair = 5

// fewAlone is how many games may be left to the end that failed twice beside all the others: many processes that start at once now and
// then stall each other for longer than the down interval at 100 ms, and that is a takeover. More than a few are no bad luck.
const fewAlone = 6

// parallelism is that of goroutines: many more than there are processors.
const parallelism = 16

// adverts are the intervals at which everything is played.
var adverts = []time.Duration{time.Second, 100 * time.Millisecond}

// Options of a run.
type Options struct {
	// Bin is the directory of the binaries.
	Bin string
	// Match picks faults by their line.
	Match *regexp.Regexp
	// Rounds of each fault at each interval.
	Rounds int
	// Parallel is how many pairs play at a time.
	Parallel int
	// Compare has keepalived play as well. It is not judged.
	Compare bool
}

// game is some rounds of one fault with one make.
type game struct {
	fault  fault
	kind   kind
	advert time.Duration
	rounds int
}

// Run plays every fault and prints the table. It returns whether vipward kept what is allowed.
func Run(o Options, out io.Writer) bool {
	began := time.Now()
	runtime.GOMAXPROCS(parallelism) // the pacer must not wait for a goroutine that waits for a processor
	results := &results{rounds: map[string]map[int][]round{}}
	pacer := &probe.Pacer{}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go pacer.Run(ctx)
	games := map[string]scenario.Scenario{}
	var list, failed []scenario.Scenario
	for i, g := range o.games() {
		name := fmt.Sprintf("%s: %s, pair %d", g.kind, line(g.fault, g.advert), i+1)
		games[name] = scenario.Scenario{Name: name, Run: func(t *scenario.T) { results.keep(g, i, play(t, pacer, g)) }}
		list = append(list, games[name])
	}
	again := 0
	play := func(list []scenario.Scenario, parallel int) {
		failed = nil
		scenario.Run(list, o.Bin, parallel, func(r scenario.Result) {
			if r.Again {
				again++
				fmt.Fprintf(out, "again %s\n      %s\n", r.Scenario, strings.Join(r.Figures, "\n      "))
			}
			if !r.OK {
				failed = append(failed, games[r.Scenario])
				fmt.Fprintf(out, "FAIL  %s\n      %s\n", r.Scenario, strings.ReplaceAll(failure(r), "\n", "\n      "))
			}
		})
	}
	play(list, o.Parallel)
	if alone := len(failed); 0 < alone && alone <= fewAlone {
		fmt.Fprintf(out, "%d of them are played with nothing much beside them\n", alone)
		play(failed, 2)
	}
	results.table(o, out)
	results.grain(out)
	for _, f := range faults() {
		if err := f.missing(); err != nil {
			fmt.Fprintf(out, "NOT PLAYED  %s: %v\n", f.name, err)
		}
	}
	fmt.Fprintf(out, "%d games of up to %d rounds passed, %d failed, %d were played again, in %v\n",
		len(list)-len(failed), perPair, len(failed), again, time.Since(began).Round(time.Second))
	return len(failed) == 0
}

// games are those that match, the longest first, so that the short ones fill the gaps.
func (o Options) games() (all []game) {
	for _, f := range faults() {
		for _, advert := range adverts {
			if !o.Match.MatchString(line(f, advert)) || !f.fits(advert) || f.missing() != nil {
				continue
			}
			for _, k := range o.kinds(f, advert) {
				each := cmp.Or(f.few, perPair)
				if f.lasts(advert) > 10*time.Second {
					each = 1
				}
				for left := o.Rounds; left > 0; left -= each {
					all = append(all, game{f, k, advert, min(left, each)})
				}
			}
		}
	}
	slices.SortStableFunc(all, func(a, b game) int { return int(b.length() - a.length()) })
	return all
}

// fits tells whether a fault is played at that interval.
func (f fault) fits(advert time.Duration) bool { return f.only == 0 || f.only == advert }

// missing is why this machine cannot play a fault; nil where it can.
func (f fault) missing() error {
	if f.needs == nil {
		return nil
	}
	return f.needs()
}

func (g game) length() time.Duration {
	return time.Duration(g.rounds) * (g.fault.lasts(g.advert) + 4*g.advert)
}

func (o Options) kinds(f fault, advert time.Duration) []kind {
	if o.Compare && f.theirs(advert) {
		return []kind{vipward, keepalived}
	}
	return []kind{vipward}
}

// theirs tells whether keepalived can play a fault at that interval.
func (f fault) theirs(advert time.Duration) bool {
	return !f.oursOnly && (!f.password || advert%time.Second == 0)
}

// results are the rounds by line and make, and by game, so that one that is played again counts once.
type results struct {
	mu     sync.Mutex
	rounds map[string]map[int][]round
}

func key(f fault, advert time.Duration, k kind) string { return line(f, advert) + " " + string(k) }

func (r *results) keep(g game, i int, all []round) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := key(g.fault, g.advert, g.kind)
	if r.rounds[k] == nil {
		r.rounds[k] = map[int][]round{}
	}
	r.rounds[k][i] = all
}

// table prints medians and worst cases in milliseconds, a line for each fault and interval.
func (r *results) table(o Options, out io.Writer) {
	makes := []kind{vipward}
	if o.Compare {
		makes = append(makes, keepalived)
	}
	fmt.Fprintf(out, "Median (worst) in milliseconds: two owners meanwhile + in healing, silence, and the most moves of the VIP; %d rounds of each.\n\n", o.Rounds)
	head, rule := "| on the master | adverts |", "|---|---|"
	for _, k := range makes {
		head += fmt.Sprintf(" %s: two owners | silence | moves |", k)
		rule += "---|---|---|"
	}
	fmt.Fprintln(out, head+"\n"+rule)
	for _, f := range faults() {
		for _, advert := range adverts {
			if !f.fits(advert) {
				continue
			}
			text, played := fmt.Sprintf("| %s | %v |", f.name, advert), false
			for _, k := range makes {
				all := r.of(f, advert, k)
				played = played || len(all) > 0
				text += cells(all)
			}
			if played {
				fmt.Fprintln(out, text)
			}
		}
	}
	fmt.Fprintln(out)
}

// of are the rounds of one line with one make.
func (r *results) of(f fault, advert time.Duration, k kind) (all []round) {
	for _, some := range r.rounds[key(f, advert, k)] {
		all = append(all, some...)
	}
	return all
}

// grain tells how finely the two owners were counted.
func (r *results) grain(out io.Writer) {
	var all []round
	for _, games := range r.rounds {
		for _, some := range games {
			all = append(all, some...)
		}
	}
	if len(all) == 0 {
		return
	}
	at := func(of func(round) time.Duration, part, parts int) time.Duration {
		return ordered(all, of)[(len(all)-1)*part/parts].Round(10 * time.Microsecond)
	}
	average, worst := func(r round) time.Duration { return r.grain }, func(r round) time.Duration { return r.coarse }
	fmt.Fprintf(out, "The clients asked who has the VIP each %v (in the worst round each %v); at worst %v passed between two questions of a round, in the median.\n",
		at(average, 1, 2), at(average, 1, 1), at(worst, 1, 2))
}

// cells are the columns of one make.
func cells(all []round) string {
	if len(all) == 0 {
		return " - | - | - |"
	}
	most := slices.MaxFunc(all, func(a, b round) int { return a.moves - b.moves }).moves
	return fmt.Sprintf(" %s + %s | %s | %d |", spread(all, func(r round) time.Duration { return r.overlap }),
		spread(all, func(r round) time.Duration { return r.after }), spread(all, func(r round) time.Duration { return r.silence }), most)
}

func spread(all []round, of func(round) time.Duration) string {
	d := ordered(all, of)
	return fmt.Sprintf("%d (%d)", d[len(d)/2].Milliseconds(), d[len(d)-1].Milliseconds())
}

func ordered(all []round, of func(round) time.Duration) (d []time.Duration) {
	for _, r := range all {
		d = append(d, of(r))
	}
	slices.Sort(d)
	return d
}
