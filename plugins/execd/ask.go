package execd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/vipward/vipward/sdk"
)

// patience is how long an instance may say nothing at all while it owes answers, before it is replaced. It is seen to when a run
// ends without its answer.
const patience = 10 * time.Second

// ask sends one question and waits for its answer until ctx ends. An instance that goes, or that says nothing at all, has told
// nothing about the target; one that answers others in the meantime has: its target hangs.
func (i *instance) ask(ctx context.Context, q question) sdk.Result {
	var answer chan sdk.Result
	var heard uint64
	q.ID, answer, heard = i.expect()
	defer i.forget(q.ID)
	if err := i.send(ctx, q); err != nil && !isClosed(i.gone) {
		i.replaceSilent()
		return sdk.Errorf("the co-process takes no question: %v", err)
	}
	select {
	case r := <-answer:
		return r
	case <-i.gone:
	case <-ctx.Done():
	}
	select {
	case r := <-answer: // it came at the same time
		return r
	default:
		return i.unanswered(ctx, heard, time.Duration(q.TimeoutMS)*time.Millisecond)
	}
}

// unanswered says what it means that no answer came, where heard answers had come before the question.
func (i *instance) unanswered(ctx context.Context, heard uint64, timeout time.Duration) sdk.Result {
	switch {
	case isClosed(i.gone):
		return sdk.Errorf("the co-process ended before its answer: %v", i.err)
	case !errors.Is(ctx.Err(), context.DeadlineExceeded):
		return sdk.Errorf("%v", ctx.Err())
	case i.answers() != heard:
		return sdk.Failf("no answer within %v", timeout)
	}
	i.replaceSilent()
	return sdk.Errorf("the co-process is silent: no answer within %v", timeout)
}

func isClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// expect gives out the id of a question and the place for its answer.
func (i *instance) expect() (id uint64, answer chan sdk.Result, heard uint64) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.last++
	answer = make(chan sdk.Result, 1)
	i.pending[i.last] = answer
	if i.owes.IsZero() {
		i.owes = time.Now()
	}
	return i.last, answer, i.heard
}

func (i *instance) forget(id uint64) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.pending, id)
}

func (i *instance) answers() uint64 {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.heard
}

// replaceSilent kills an instance that has been silent for too long.
func (i *instance) replaceSilent() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if silent := time.Since(i.owes); !i.owes.IsZero() && silent >= patience {
		i.kill(fmt.Errorf("it was killed, since it was silent for %v", silent.Round(time.Second)))
	}
}

// send writes a question, unless ctx ends before there is room for it. One that is written in part spoils what follows: then the
// instance is replaced.
func (i *instance) send(ctx context.Context, q question) error {
	line, err := json.Marshal(q)
	if err != nil {
		return err
	}
	select {
	case i.turn <- struct{}{}:
		defer func() { <-i.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	deadline, _ := ctx.Deadline()
	if err := i.stdin.SetWriteDeadline(deadline); err != nil {
		return err
	}
	n, err := i.stdin.Write(append(line, '\n'))
	if err != nil && n > 0 {
		i.kill(fmt.Errorf("it was killed, since it took a part of a question: %w", err))
	}
	return err
}

// heed takes a line of stdout. An answer that comes late is heard and dropped.
func (i *instance) heed(line []byte, cut bool) {
	id, result, err := parse(line, cut)
	if known := i.hand(id, result); !known && err == nil {
		err = fmt.Errorf("no question has the id %d", id)
	}
	if err == nil {
		return
	}
	i.process.junk.Add(1)
	if ok, left := i.junkLog.allow(time.Now()); ok {
		i.process.log.Warn("a line that is no answer", "error", err, "line", excerpt(line), "unlogged", left)
	}
}

// hand gives a result to the run that waits for it, and tells whether there ever was such a question.
func (i *instance) hand(id uint64, r sdk.Result) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if id == 0 || id > i.last {
		return false
	}
	i.heard++
	i.owes = time.Time{}
	if answer, ok := i.pending[id]; ok {
		answer <- r
		delete(i.pending, id)
	}
	return true
}
