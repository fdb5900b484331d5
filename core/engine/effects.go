package engine

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/vipward/vipward/core/config"
	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/event"
	"github.com/vipward/vipward/core/guard"
	"github.com/vipward/vipward/core/heartbeat"
	"github.com/vipward/vipward/core/node"
	"github.com/vipward/vipward/core/outbox"
	"github.com/vipward/vipward/core/pluginhost"
	"github.com/vipward/vipward/core/wire"
)

// beat sends one heartbeat. What cannot be sent is counted; the next one comes soon.
func (e *engine) beat(b node.BeatTo) {
	if err := e.beats.Send(pathName(b.Peer, b.Path), b.Payload); err != nil {
		e.log.Debug("heartbeat not sent", "error", err)
	}
}

// pathName tells the paths of all peers apart.
func pathName(peer, path string) string { return peer + "/" + path }

// paths are the ways of the heartbeats.
func paths(configs ...*config.Config) []wire.Path {
	var out []wire.Path
	for _, c := range configs {
		for _, p := range c.Node.Guard.Peers {
			for _, w := range p.Paths {
				path := wire.Path{
					Name: pathName(p.Name, w.Name), Address: w.Address, Interface: w.Interface, Routed: w.Routed,
					Port: cmp.Or(c.Node.Guard.HeartbeatPort, heartbeat.Port),
				}
				out = append(out, path)
			}
		}
	}
	return out
}

// beaten is called by the readers of the paths.
func (e *engine) beaten(b wire.Beat) {
	peer, path, _ := strings.Cut(b.Path.Name, "/")
	e.loop.Hurry(node.Beat{Peer: peer, Path: path, Source: b.Path.Address, Payload: b.Payload, At: b.At}, b.At)
}

// unheard is called by the readers and the senders of the paths: nobody listens there.
func (e *engine) unheard(w wire.Path) {
	peer, path, _ := strings.Cut(w.Name, "/")
	e.loop.Add(node.BeatRefused{Peer: peer, Path: path, Port: w.Port})
}

// desire hands the whole wish to those who apply it. A renewed lease comes with each advert and is no news for IPVS.
func (e *engine) desire(s *desired.State) {
	e.refusals.Set(s.Refused)
	e.addresses.Set(s)
	e.neighbours.Set(s.Watched)
	if e.wished == nil || !e.wished.SameIPVS(s) {
		e.wished = s
		e.services.Set(s)
		e.markings.Set(s.Markings)
		e.probing.Set(s)
	}
}

// tell numbers events and gives them to the log, to readers and to the notifiers.
func (e *engine) tell(events []event.Event) {
	for _, v := range events {
		e.seq++
		v.Seq, v.Time, v.Node = e.seq, time.Now(), e.config.Load().Node.Name
		if v.Code == "instance.takeover" {
			e.memory.Hurry()
		}
		if took, ok := outage(v); ok {
			e.metrics.Takeover.Observe(took.Seconds())
		}
		e.ring.Append(v)
		e.outbox.Add(v)
		e.log.Log(context.Background(), level(v.Severity), v.String(), "code", v.Code, "seq", v.Seq)
	}
}

// outage is how long there was no master before the takeover that an event tells of; false for other events, and where none was heard
// before or the master was there until then.
func outage(v event.Event) (time.Duration, bool) {
	if v.Code != "instance.takeover" || v.Attrs["claim"] == string(guard.ClaimRank) {
		return 0, false
	}
	ms, err := strconv.ParseInt(v.Attrs["silence_ms"], 10, 64)
	return time.Duration(ms) * time.Millisecond, err == nil && ms > 0
}

func level(s event.Severity) slog.Level {
	switch s {
	case event.Critical:
		return slog.LevelError
	case event.Warning:
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// emit takes an event from outside of the loop: from the plugin host, from the outbox. Until the loop is there, it is logged.
func (e *engine) emit(v event.Event) {
	if e.loop == nil {
		e.log.Log(context.Background(), level(v.Severity), v.String(), "code", v.Code)
		return
	}
	e.loop.Add(node.Told{Event: v})
}

// deliver lets a plugin notify somebody.
func (e *engine) deliver(
	ctx context.Context, n config.Notifier, events []event.Event, key string, attempt int,
) (outbox.Outcome, time.Duration, error) {
	d, err := e.plugins.Notify(ctx, n, events, key, attempt)
	if err == nil && d.Outcome != pluginhost.Delivered {
		err = errors.New(d.Reason)
	}
	switch d.Outcome {
	case pluginhost.Delivered:
		return outbox.Delivered, 0, err
	case pluginhost.Drop:
		return outbox.Drop, 0, err
	case pluginhost.Retry:
	}
	return outbox.Retry, d.RetryAfter, err
}

// answers hands the results of commands from the loop to those who wait for them.
type answers struct {
	mu      sync.Mutex
	last    uint64
	waiting map[uint64]chan node.Answer
}

// expect makes a new command's number, and the channel on which its answer comes.
func (a *answers) expect() (id uint64, answer <-chan node.Answer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.waiting == nil {
		a.waiting = map[uint64]chan node.Answer{}
	}
	a.last++
	ch := make(chan node.Answer, 1)
	a.waiting[a.last] = ch
	return a.last, ch
}

// give delivers an answer; one that nobody waits for any more is dropped.
func (a *answers) give(v node.Answer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if ch := a.waiting[v.ID]; ch != nil {
		ch <- v
		delete(a.waiting, v.ID)
	}
}

func (a *answers) forget(id uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.waiting, id)
}
