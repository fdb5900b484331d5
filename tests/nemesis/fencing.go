package nemesis

import (
	"fmt"
	"time"

	"github.com/vipward/vipward/tests/lab/fencer"
	"github.com/vipward/vipward/tests/lab/topology"
)

// fast is the interval at which faults are played in which the adverts are not the point.
const fast = 100 * time.Millisecond

// fencings are ends of the master in every mode, with a fencer that confirms, fails, hangs or lies. A pair plays two rounds: more
// shots there are not in ten minutes.
func fencings() []fault {
	event := func(code string) alarm { return alarm{node: topology.LB2, code: code} }
	fenced := func(d time.Duration) time.Duration { return takeover(d) + 2*time.Second }
	tried := func(d time.Duration) time.Duration { return takeover(d) + 6*time.Second }
	// Who has taken over owns less than who is silent did, and waits before it shoots.
	behind := func(time.Duration) time.Duration { return takeover(fast) + 6*time.Second }
	succeeded, failed := event("fence.succeeded"), event("fence.failed")
	all := []fault{
		{
			name: "SIGKILL, the fencer confirms; best_effort", with: fencing("best_effort"), do: (*pair).kill, undo: (*pair).boot,
			lasts: behind, alarm: succeeded, ended: true, silence: takeover, moves: 2,
		},
		{
			name: "SIGKILL, the fencer fails; best_effort", with: fencing("best_effort"), do: dies(fencer.Fails), undo: (*pair).boot,
			lasts: behind, alarm: failed, ended: true, silence: takeover, moves: 2,
		},
		{
			name: "SIGKILL, the fencer hangs; best_effort", with: fencing("best_effort"), do: dies(fencer.Hangs), undo: (*pair).boot,
			lasts: behind, alarm: failed, ended: true, silence: takeover, moves: 2,
		},
		{
			name: "SIGSTOP for 8 s, the fencer lies; best_effort", with: fencing("best_effort"), do: (*pair).pause, undo: (*pair).resume,
			lasts: of(8 * time.Second), alarm: succeeded, ended: true, silence: takeover, moves: 2,
		},
		{
			name: "SIGKILL, the fencer confirms; required", with: fencing("required"), do: (*pair).kill, undo: (*pair).boot,
			lasts: fenced, next: topology.LB2, alarm: succeeded, silence: fenced, moves: 2,
		},
		{
			name: "SIGKILL, the fencer fails; required", with: fencing("required"), do: dies(fencer.Fails), undo: (*pair).boot,
			lasts: tried, alarm: failed, ended: true, shown: (*pair).unowned, moves: 2,
		},
		{
			name: "SIGKILL, the fencer hangs; required", with: fencing("required"), do: dies(fencer.Hangs), undo: (*pair).boot,
			lasts: tried, alarm: failed, ended: true, shown: (*pair).unowned, moves: 2,
		},
		{
			name: "SIGSTOP for 3 s, the fencer lies; required", with: fencing("required"), do: (*pair).pause, undo: (*pair).resume,
			lasts: of(3 * time.Second), alarm: succeeded, silence: fenced, moves: 2,
		},
	}
	for i := range all {
		f := &all[i]
		f.only, f.few, f.oursOnly, f.overlap = fast, 2, true, never
	}
	return all
}

// fencing gives each node a fencer for the other one. What was fenced takes part again when it is back.
func fencing(mode string) func(*pair, string) setup {
	return func(p *pair, _ string) setup {
		text := fencer.Block(p.Dir, time.Second)
		for _, name := range []string{topology.LB1, topology.LB2} {
			text += fmt.Sprintf("fencing %q {\n  mode = %q\n  auto_rejoin = true\n  level { devices = [%q] }\n}\n", name, mode, fencer.Name)
		}
		p.Must(fencer.Write(p.Dir, fencer.Confirms))
		return setup{blocks: text}
	}
}

// dies kills lb1 when its fencer does as it is told.
func dies(does fencer.Deed) func(*pair) {
	return func(p *pair) {
		p.Must(fencer.Write(p.Dir, does))
		p.kill()
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
	if n := p.told(alarm{node: topology.LB2, code: "fence.started"}); n > 0 {
		p.Errorf("lb2 has fenced a node that it never heard, %d times", n)
	}
}
