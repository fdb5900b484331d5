package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vipward/vipward/core/config"
	"github.com/vipward/vipward/core/event"
	"github.com/vipward/vipward/core/node"
	"github.com/vipward/vipward/core/pluginhost"
)

// maxQuestions bounds the questions to the witness that wait: one for each instance, as a rule.
const maxQuestions = 1024

// witnesses asks the witness for grants, for one instance one question after the other. It never blocks the loop.
type witnesses struct {
	ask    func(context.Context, pluginhost.WitnessCall) pluginhost.Grant
	report func(node.Witnessed)
	tell   func(event.Event)

	questions chan question

	mu sync.Mutex
	up map[string]bool // by the names of witnesses: whether it answered the last time
}

// question is one of the node, with what was configured when it came.
type question struct {
	node.WitnessAsk
	call pluginhost.WitnessCall
	at   time.Time
	err  error // why it cannot be asked
}

func newWitnesses(
	ask func(context.Context, pluginhost.WitnessCall) pluginhost.Grant, report func(node.Witnessed), tell func(event.Event),
) *witnesses {
	return &witnesses{ask: ask, report: report, tell: tell, questions: make(chan question, maxQuestions), up: map[string]bool{}}
}

// Give takes a question. One that finds no room is not answered by the witness.
func (w *witnesses) Give(a node.WitnessAsk, c *config.Config) {
	q := question{WitnessAsk: a, at: time.Now(), call: pluginhost.WitnessCall{
		Release: a.Action == node.WitnessRelease, Claim: claimOf(c, a.Instance), Node: c.Node.Name, TTL: a.TTL,
	}}
	if k := slices.IndexFunc(c.Witnesses, func(w config.Witness) bool { return w.Name == a.Witness }); k >= 0 {
		q.call.Witness = c.Witnesses[k]
	} else {
		q.err = fmt.Errorf("there is no witness %s any more", a.Witness)
	}
	select {
	case w.questions <- q:
	default:
		w.report(node.Witnessed{ID: a.ID, Err: fmt.Sprintf("%d questions wait already", maxQuestions)})
	}
}

// claimOf is what an instance is claimed by: the same on all nodes of a pair, and another one for every other pair.
func claimOf(c *config.Config, instance string) string {
	names := []string{c.Node.Name}
	for _, n := range c.Nodes {
		names = append(names, n.Name)
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), ",") + "/" + instance
}

// run asks until ctx ends.
func (w *witnesses) run(ctx context.Context) error {
	serially(ctx, w.questions, func(q question) string { return q.Instance }, func(q question) {
		w.report(w.answer(ctx, q))
	})
	return nil
}

// answer asks one question. A grant that would be over by now is not asked for.
func (w *witnesses) answer(ctx context.Context, q question) node.Witnessed {
	g := pluginhost.Grant{Err: q.err}
	if g.Err == nil && q.TTL > 0 && time.Since(q.at) >= q.TTL {
		g.Err = errors.New("the question has waited too long")
	}
	if g.Err == nil {
		g = w.ask(ctx, q.call)
		w.note(ctx, q.Witness, g.Err)
	}
	out := node.Witnessed{ID: q.ID, Granted: g.Granted, Holder: g.Holder}
	if g.Err != nil {
		out.Err = g.Err.Error()
	}
	return out
}

// note tells of a witness that answers no more, and of one that does again. The end of the daemon is no silence.
func (w *witnesses) note(ctx context.Context, name string, err error) {
	if ctx.Err() != nil {
		return
	}
	w.mu.Lock()
	before, known := w.up[name]
	w.up[name] = err == nil
	w.mu.Unlock()
	switch {
	case err != nil && (before || !known):
		w.tell(event.Event{Code: "witness.lost", Severity: event.Critical, Kind: event.Witness, Subject: name, Reason: err.Error()})
	case err == nil && known && !before:
		w.tell(event.Event{Code: "witness.back", Severity: event.Info, Kind: event.Witness, Subject: name, Reason: "it answers again"})
	}
}

// metrics is which witnesses answered when they were asked last.
func (w *witnesses) metrics() map[string]bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := map[string]bool{}
	for name, up := range w.up {
		out[name] = up
	}
	return out
}

// askWitness has a question of the node asked.
func (e *engine) askWitness(a node.WitnessAsk) { e.witnesses.Give(a, e.config.Load()) }

// witnessed gives an answer to the loop.
func (e *engine) witnessed(w node.Witnessed) { e.loop.Hurry(w, time.Now()) }
