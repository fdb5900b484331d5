package sim

// besides is what goes wrong with those that are asked, other than on a segment.
func (w *World) besides(f Fault) (end func()) {
	switch f.Kind {
	case Crosslink:
		return w.uncrossing(f)
	case Stranger:
		w.strangers[f.Instance]++
		w.judge.unrest()
		return func() { w.strangers[f.Instance]--; w.judge.unrest() }
	case Witness:
		return w.losing(f)
	}
	return w.replay(f)
}

// uncrossing keeps heartbeats from the crosslink.
func (w *World) uncrossing(f Fault) (end func()) {
	change := func(more int) {
		for o := range w.hosts {
			if o != f.Node {
				w.cross[f.Node][o] += more
				w.cross[o][f.Node] += more * f.Size
			}
		}
		w.judge.unrest()
	}
	change(1)
	return func() { change(-1) }
}

// losing keeps nodes from the witness.
func (w *World) losing(f Fault) (end func()) {
	change := func(more int) {
		for n := range w.witness.cut {
			if f.Node < 0 || f.Node == n {
				w.witness.cut[n] += more
			}
		}
		w.judge.unrest()
	}
	change(1)
	return func() {
		if f.Size == 1 && w.scenario.witnessed() {
			w.restartWitness()
		}
		change(-1)
	}
}

// filtering keeps adverts away, and nothing else.
func (w *World) filtering(s int, f Fault) (end func()) {
	change := func(more int) {
		for o := range w.hosts {
			if o != f.Node {
				w.segments[s].filtered[f.Node][o] += more
				w.segments[s].filtered[o][f.Node] += more * f.Size
			}
		}
		w.segments[s].shaken = w.now
		w.judge.unrest()
	}
	change(1)
	return func() { change(-1) }
}

// deafened has references answer nobody.
func (w *World) deafened(s, which int) (end func()) {
	change := func(more int) {
		for r := range w.segments[s].dead {
			if which == 0 || which == r+1 {
				w.segments[s].dead[r] += more
			}
		}
		w.judge.unrest()
	}
	change(1)
	return func() { change(-1) }
}

// setFencer has the fencer of one level do something else than it should.
func (h *host) setFencer(level, how int) (end func()) {
	level %= len(h.fencer)
	was := h.fencer[level]
	h.fencer[level] = how
	h.w.judge.unrest()
	return func() { h.fencer[level] = was; h.w.judge.unrest() }
}
