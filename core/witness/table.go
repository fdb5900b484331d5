// Package witness is the third machine of a pair: it says which node may hold an instance, to one at a time. It keeps nothing on
// the disk. It is not a part of the daemon of a pair.
package witness

import (
	"errors"
	"fmt"
	"time"
)

// maxClaims bounds what is kept.
const maxClaims = 10_000

// table is who has what, until when. It reads no clock: every method is told the instant, which never goes back.
type table struct {
	opens  time.Time     // nothing is granted before
	most   time.Duration // the longest grant
	grants map[string]grant
}

type grant struct {
	holder string
	until  time.Time
}

// held is a refusal: somebody else has the claim.
type held struct {
	holder string
	left   time.Duration
}

func (h *held) Error() string { return h.holder + " has it" }

// errNotYet says that nothing is granted since a former run may have granted it to somebody else.
var errNotYet = errors.New("not yet: a grant of the run before may still last")

// newTable grants nothing until every grant of a run before must have ended.
func newTable(now time.Time, most time.Duration) *table {
	return &table{opens: now.Add(most), most: most, grants: map[string]grant{}}
}

// acquire gives the claim to the node for ttl from now on, or renews it. Somebody else's is a [*held].
func (t *table) acquire(now time.Time, claim, node string, ttl time.Duration) error {
	switch {
	case claim == "" || node == "" || len(claim)+len(node) > 512:
		return errors.New("a claim and a node have names, of at most 512 bytes together")
	case ttl <= 0 || ttl > t.most:
		return fmt.Errorf("a grant lasts at most %v here; for more start the witness with a longer --max-ttl", t.most)
	case now.Before(t.opens):
		return errNotYet
	}
	if g, ok := t.alive(now, claim); ok && g.holder != node {
		return &held{g.holder, g.until.Sub(now)}
	}
	if _, ok := t.grants[claim]; !ok && len(t.grants) >= maxClaims && t.sweep(now) == 0 {
		return fmt.Errorf("there are %d claims already", maxClaims)
	}
	until := now.Add(ttl)
	if g, ok := t.alive(now, claim); ok && g.until.After(until) {
		until = g.until // of a request that has overtaken this one, or of one that asked for more
	}
	t.grants[claim] = grant{node, until}
	return nil
}

// release takes the claim back from the node. Somebody else's is a [*held].
func (t *table) release(now time.Time, claim, node string) error {
	if now.Before(t.opens) {
		return nil // it has none that this run knows of, and nobody gets one
	}
	if g, ok := t.alive(now, claim); ok {
		if g.holder != node {
			return &held{g.holder, g.until.Sub(now)}
		}
		delete(t.grants, claim)
	}
	return nil
}

// alive is the grant of a claim that has not ended.
func (t *table) alive(now time.Time, claim string) (grant, bool) {
	g, ok := t.grants[claim]
	return g, ok && now.Before(g.until)
}

// sweep forgets what has ended, and tells how much.
func (t *table) sweep(now time.Time) (n int) {
	for claim, g := range t.grants {
		if !now.Before(g.until) {
			delete(t.grants, claim)
			n++
		}
	}
	return n
}
