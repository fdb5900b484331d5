package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vipward/vipward/core/config"
	"github.com/vipward/vipward/core/event"
	"github.com/vipward/vipward/core/node"
	"github.com/vipward/vipward/core/pluginhost"
)

// arbiter is a witness of the tests: each call takes a second.
type arbiter struct {
	mu   sync.Mutex
	err  error
	log  []string
	took time.Duration
}

func (a *arbiter) ask(ctx context.Context, c pluginhost.WitnessCall) pluginhost.Grant {
	time.Sleep(a.took)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.log = append(a.log, fmt.Sprintf("%s %s %v %v", c.Node, c.Claim, c.TTL, c.Release))
	if a.err != nil {
		return pluginhost.Grant{Err: a.err}
	}
	return pluginhost.Grant{Granted: true, Holder: c.Node}
}

func (a *arbiter) note(text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.log = append(a.log, text)
}

func (a *arbiter) taken() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	defer func() { a.log = nil }()
	return strings.Join(a.log, "\n")
}

func witnessing(t *testing.T, a *arbiter) (*witnesses, *config.Config) {
	w := newWitnesses(a.ask, func(r node.Witnessed) { a.note(fmt.Sprintf("%d: %v %s %s", r.ID, r.Granted, r.Holder, r.Err)) },
		func(e event.Event) { a.note(e.Code + " " + e.Reason) })
	go func() { _ = w.run(t.Context()) }()
	return w, &config.Config{
		Node: node.Config{Name: "lb1"}, Nodes: []config.Node{{Name: "lb2"}, {Name: "lb1"}}, Witnesses: []config.Witness{{Name: "arbiter"}},
	}
}

func acquire(id uint64, instance string) node.WitnessAsk {
	return node.WitnessAsk{ID: id, Witness: "arbiter", Instance: instance, Action: node.WitnessAcquire, TTL: 5 * time.Second}
}

func TestTheWitnessIsAskedForOneInstanceOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &arbiter{took: time.Second}
		w, c := witnessing(t, a)
		w.Give(acquire(1, "web"), c)
		w.Give(node.WitnessAsk{ID: 2, Witness: "arbiter", Instance: "web", Action: node.WitnessRelease}, c)
		time.Sleep(500 * time.Millisecond)
		w.Give(acquire(3, "db"), c)
		time.Sleep(time.Minute)
		const want = "lb1 lb1,lb2/web 5s false\n1: true lb1 \nlb1 lb1,lb2/db 5s false\n3: true lb1 \nlb1 lb1,lb2/web 0s true\n2: true lb1 "
		if got := a.taken(); got != want {
			t.Errorf("asked and answered\n%s\nwant\n%s", got, want)
		}
	})
}

func TestAWitnessThatDoesNotAnswerIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &arbiter{err: errors.New("connection refused")}
		w, c := witnessing(t, a)
		step := func(id uint64, err error) string {
			a.mu.Lock()
			a.err = err
			a.mu.Unlock()
			w.Give(acquire(id, "web"), c)
			synctest.Wait()
			_, rest, _ := strings.Cut(a.taken(), "\n")
			return rest
		}
		gone := errors.New("connection refused")
		for id, tt := range []struct {
			err  error
			want string
		}{
			{gone, "witness.lost connection refused\n0: false  connection refused"},
			{gone, "1: false  connection refused"},
			{nil, "witness.back it answers again\n2: true lb1 "},
			{nil, "3: true lb1 "},
			{gone, "witness.lost connection refused\n4: false  connection refused"},
		} {
			if got := step(uint64(id), tt.err); got != tt.want {
				t.Errorf("%d: %q, want %q", id, got, tt.want)
			}
		}
		if w.metrics()["arbiter"] {
			t.Error("the metric says that it answers")
		}
	})
}

func TestAQuestionThatIsOfNoUseIsNotAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &arbiter{took: 6 * time.Second}
		w, c := witnessing(t, a)
		w.Give(acquire(1, "web"), c)
		w.Give(acquire(2, "web"), c) // waits longer than its grant would last
		w.Give(node.WitnessAsk{ID: 3, Witness: "gone", Instance: "db"}, c)
		time.Sleep(time.Minute)
		const want = "3: false  there is no witness gone any more\nlb1 lb1,lb2/web 5s false\n1: true lb1 \n2: false  the question has waited too long"
		if got := a.taken(); got != want {
			t.Errorf("asked and answered\n%s\nwant\n%s", got, want)
		}
	})
}
