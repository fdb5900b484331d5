// Package alertmanager is the notifier "alertmanager": it keeps the alerts of a Prometheus Alertmanager. A trouble fires, is sent again
// as long as it lasts, and is resolved by its end. It is not for messages: who is told, and how, the Alertmanager decides.
package alertmanager

import (
	"context"
	"sync"

	"github.com/vipward/vipward/sdk"
)

// Component is the notifier for [sdk.Serve].
func Component() sdk.Component {
	d := &desk{sessions: map[string]*session{}}
	return sdk.Notifier("alertmanager", d.notify, sdk.Summary("keeps the alerts of a Prometheus Alertmanager: firing, sent again, resolved"))
}

// desk has a session for each set of Alertmanagers. It outlives a configuration, so that a reload forgets no alert.
type desk struct {
	mu       sync.Mutex
	sessions map[string]*session
}

// notify posts what the events change. What was posted is what is sent again later.
func (d *desk) notify(ctx context.Context, events []sdk.Event, c Config) error {
	s := d.session(c)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.config = c
	next, news := s.firing.after(events, c.Hold)
	if len(news) == 0 {
		return nil
	}
	if err := post(ctx, c, news); err != nil {
		return err
	}
	s.firing = next
	if len(next) > 0 && !s.sending {
		s.sending = true
		go s.sendAgain(sdk.Logger(ctx))
	}
	return nil
}

func (d *desk) session(c Config) *session {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.sessions[c.key()]
	if s == nil {
		s = &session{firing: alarms{}}
		d.sessions[c.key()] = s
	}
	return s
}
