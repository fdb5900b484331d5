package nemesis

import (
	"context"
	"fmt"
	"time"

	"github.com/vipward/vipward/tests/lab/fencer"
	"github.com/vipward/vipward/tests/lab/topology"
)

// fencings are ends of the master in every mode, with a fencer that confirms, fails, hangs or lies. A pair plays two rounds: more
// shots there are not in ten minutes.
func fencings() []fault {
	told := func(code string) []alarm { return []alarm{{node: topology.LB2, code: code}} }
	fenced := func(d time.Duration) time.Duration { return takeover(d) + 2*time.Second }
	switched := func(d time.Duration) time.Duration { return fenced(d) + patient }      // on a busy machine
	tried := func(d time.Duration) time.Duration { return takeover(d) + 8*time.Second } // who owns less waits before it shoots
	succeeded, failed := told("fence.succeeded"), told("fence.failed")
	all := []fault{
		{name: "SIGKILL, the fencer confirms; best_effort", with: fencing("best_effort"), do: (*pair).kill, alarms: succeeded, silence: takeover},
		{name: "SIGKILL, the fencer fails; best_effort", with: fencingWithin(time.Second, "best_effort"), do: dies(fencer.Fails), alarms: failed, silence: takeover},
		{name: "SIGKILL, the fencer hangs; best_effort", with: fencingWithin(time.Second, "best_effort"), do: dies(fencer.Hangs), alarms: failed, silence: takeover},
		{
			name: "SIGSTOP, the fencer lies; best_effort", with: fencing("best_effort"), do: stops(fencer.Lies), undo: (*pair).resume,
			alarms: succeeded, silence: takeover,
		},
		{
			name: "SIGKILL, the fencer confirms; required", with: fencing("required"), do: (*pair).kill, lasts: switched, next: topology.LB2,
			alarms: succeeded, silence: fenced, shown: (*pair).isOff,
		},
		{
			name: "SIGSTOP, the fencer confirms; required", with: fencing("required"), do: (*pair).pause, lasts: switched, next: topology.LB2,
			alarms: succeeded, silence: fenced, shown: (*pair).isOff,
		},
		{name: "SIGKILL, the fencer fails; required", with: fencingWithin(time.Second, "required"), do: dies(fencer.Fails), alarms: failed, shown: (*pair).unowned},
		{name: "SIGKILL, the fencer hangs; required", with: fencingWithin(time.Second, "required"), do: dies(fencer.Hangs), alarms: failed, shown: (*pair).unowned},
		{
			name: "SIGSTOP, the fencer lies; required", with: fencing("required"), do: stops(fencer.Lies), undo: (*pair).resume,
			lasts: fenced, next: topology.LB2, alarms: succeeded, silence: fenced,
		},
	}
	for i := range all {
		f := &all[i]
		if f.undo == nil {
			f.undo = (*pair).powerOn
		}
		if f.lasts == nil {
			f.lasts, f.ended = tried, true
		}
		f.few, f.oursOnly, f.overlap, f.moves = 2, true, never, 2
	}
	return all
}

// patient is how long a fencer may take that succeeds: a machine with many networks is slow to cut one off. One that fails takes all the
// time that it has, twice.
const patient = 4 * time.Second

// fencing gives each node a fencer for the other one, which switches its power. What was fenced takes part again when it is back.
func fencing(mode string) func(*pair, string) setup { return fencingWithin(patient, mode) }

func fencingWithin(timeout time.Duration, mode string) func(*pair, string) setup {
	return func(p *pair, _ string) setup {
		text := fencer.Block(p.Dir, timeout)
		for _, name := range []string{topology.LB1, topology.LB2} {
			text += fmt.Sprintf("fencing %q {\n  mode = %q\n  auto_rejoin = true\n  level { devices = [%q] }\n}\n", name, mode, fencer.Name)
		}
		if p.power == nil {
			p.Must(fencer.Write(p.Dir, fencer.Confirms))
			power, err := fencer.NewSwitch(p.Dir)
			p.Must(err)
			p.Background(func(ctx context.Context) error { return power.Run(ctx, p.PowerOff) })
			p.power = power
		}
		return setup{blocks: text}
	}
}

// dies kills lb1 when its fencer does as it is told, stops stops it.
func dies(does fencer.Deed) func(*pair) {
	return func(p *pair) {
		p.Must(fencer.Write(p.Dir, does))
		p.kill()
	}
}

func stops(does fencer.Deed) func(*pair) {
	return func(p *pair) {
		p.Must(fencer.Write(p.Dir, does))
		p.pause()
	}
}

// powerOn has lb1 boot, whether it was switched off or not.
func (p *pair) powerOn() {
	if p.power.Off(topology.LB1) {
		p.Must(p.power.On(topology.LB1))
		p.Must(p.PowerOn(topology.LB1))
	}
	p.boot()
}

// isOff wants that lb1 has no power.
func (p *pair) isOff() {
	if !p.power.Off(topology.LB1) {
		p.Errorf("lb1 was not switched off")
	}
}

// unowned wants that nobody has taken over.
func (p *pair) unowned() {
	if names, err := p.owners(); err != nil || len(names) > 0 {
		p.Errorf("the VIP is held by %v (%v), want nobody: the fencing is required and has not succeeded", names, err)
	}
}

// unfenced wants that lb2, which has not heard lb1 since its start, has shot at nobody.
func (p *pair) unfenced() {
	if shots := p.told(alarm{node: topology.LB2, code: "fence.started"}, time.Time{}); len(shots) > 0 {
		p.Errorf("lb2 has fenced a node that it never heard, %d times", len(shots))
	}
}
