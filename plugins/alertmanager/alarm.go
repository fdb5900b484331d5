package alertmanager

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/message"
)

// trouble tells alarms apart, as their labels do.
type trouble struct{ node, code, kind, service, subject, severity string }

// alarm is a trouble that fires, or has ended.
type alarm struct {
	trouble
	title, reason, to string
	began             time.Time
	ended             time.Time // zero while it fires
}

// severities are those that fire.
func severities() []string { return []string{"warning", "critical"} }

// alarms are those that fire.
type alarms map[trouble]alarm

// after is what fires after some events, and what of it is news: each trouble once, as it is in the end. What has no end that would be
// told ends by itself after hold, and is not kept.
func (a alarms) after(events []sdk.Event, hold time.Duration) (next alarms, news []alarm) {
	next = maps.Clone(a)
	changed := map[trouble]alarm{}
	for _, e := range events {
		code, firing, lasts := message.Condition(e)
		if !firing && !lasts {
			continue // no trouble, and no end of one
		}
		k := trouble{e.Node, code, e.Kind, e.Service, e.Subject, e.Severity}
		v := alarm{trouble: k, title: message.Line(e), reason: e.Reason, to: e.To, began: e.Time}
		if !lasts {
			v.ended = e.Time.Add(hold)
			changed[k] = v
			continue
		}
		for _, ended := range next.end(v, firing) {
			delete(next, ended.trouble)
			changed[ended.trouble] = ended
		}
		if firing {
			if old, ok := next[k]; ok {
				v.began = old.began
			}
			next[k], changed[k] = v, v
		}
	}
	return next, slices.SortedFunc(maps.Values(changed), order)
}

// end is what an event ends. Where it fires, that is the same trouble of another severity; otherwise the trouble of all severities,
// also of those that are not known here: a run before may have told of them.
func (a alarms) end(v alarm, firing bool) (ended []alarm) {
	var known []alarm
	for _, severity := range severities() {
		k := v.trouble
		k.severity = severity
		if old, ok := a[k]; ok && !(firing && severity == v.severity) {
			known = append(known, old)
		}
	}
	if !firing && len(known) == 0 {
		for _, severity := range severities() {
			one := v
			one.severity = severity
			known = append(known, one)
		}
	}
	for _, old := range known {
		old.title, old.reason, old.to, old.ended = v.title, v.reason, v.to, v.began
		ended = append(ended, old)
	}
	return ended
}

// order is that of sending: by what they are about.
func order(a, b alarm) int {
	return cmp.Or(
		cmp.Compare(a.kind, b.kind), cmp.Compare(a.service, b.service), cmp.Compare(a.subject, b.subject), cmp.Compare(a.code, b.code),
		cmp.Compare(a.node, b.node), cmp.Compare(a.severity, b.severity),
	)
}
