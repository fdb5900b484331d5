package node

import (
	"fmt"
	"time"

	"github.com/vipward/vipward/core/health"
)

// trackStatus is what a track sees, after `reverse`.
func (n *Node) trackStatus(t Track) (status health.Status, reason string) {
	switch t.Kind {
	case TrackChecker:
		status, reason = n.checkerStatus(t.Name)
	case TrackInterface:
		status, reason = n.linkStatus(t.Name)
	case TrackService:
		status, reason = n.serviceStatus(t.Name)
	case TrackScript, TrackProcess, TrackFile:
		status, reason = n.checkStatus(t)
	}
	if !t.Reverse || t.IsNumber() {
		return status, reason
	}
	switch status {
	case health.Up:
		return health.Down, "reversed: it is up"
	case health.Down:
		return health.Up, ""
	}
	return status, reason
}

func (n *Node) linkStatus(name string) (status health.Status, reason string) {
	l, ok := n.links[name]
	switch {
	case !ok:
		return health.Down, "there is no interface " + name
	case !l.Up:
		return health.Down, "interface " + name + " is down"
	}
	return health.Up, ""
}

// fault is why the instance must not take part, for itself or for another member of its sync group; empty for none. Unknown is
// never a fault.
func (n *Node) fault(i *instance) string {
	if reason := n.outOfService(); reason != "" {
		return reason
	}
	if reason := n.ownFault(i); reason != "" || i.group == nil {
		return reason
	}
	for _, m := range i.group.members {
		if reason := n.ownFault(m); reason != "" {
			return fmt.Sprintf("%s of sync group %s is in FAULT: %s", m.cfg.Name, i.group.cfg.Name, reason)
		}
	}
	return ""
}

func (n *Node) ownFault(i *instance) string {
	if i.broken != "" {
		return i.broken
	}
	if i.dumb != "" {
		return i.dumb
	}
	if status, reason := n.linkStatus(i.cfg.Interface); status == health.Down {
		return reason
	}
	if reason := i.refusedFault(); reason != "" {
		return reason
	}
	if reason := i.pathFault(); reason != "" {
		return reason
	}
	for _, t := range i.tracks {
		status, reason := n.trackStatus(t)
		if t.Weighted && !t.IsNumber() || status != health.Down {
			continue
		}
		if reason != "" {
			reason = ": " + reason
		}
		return fmt.Sprintf("%s %s is down%s", t.Kind, t.Name, reason)
	}
	return ""
}

// priority is the base priority with the weights of the tracks, 1 to 254; that of an owner (255) never changes.
func (n *Node) priority(i *instance) uint8 {
	p := int(i.cfg.VRRP.Priority)
	if p == 255 {
		return 255
	}
	for _, t := range i.tracks {
		if t.IsNumber() {
			p += n.sum(t)
			continue
		}
		status, _ := n.trackStatus(t)
		if t.Weighted && (t.Weight > 0 && status == health.Up || t.Weight < 0 && status == health.Down) {
			p += t.Weight
		}
	}
	return uint8(min(max(p, 1), 254)) // clamped on this line
}

// undecided is what the start of the instance waits for, empty for nothing, and until when at most. Links and checks that come and go
// while a machine boots must not move a VIP here and away again.
func (n *Node) undecided(now time.Time, i *instance) (why string, until time.Time) {
	if !i.source {
		return "waits for an address on " + i.cfg.Interface, time.Time{} // it comes as an input, however late
	}
	if settled := i.whole.Add(i.cfg.StartDelay); now.Before(settled) {
		return fmt.Sprintf("waits %v for its links and checks to settle (start_delay)", i.cfg.StartDelay), settled
	}
	grace := n.started.Add(StartGrace)
	if !now.Before(grace) {
		return "", time.Time{}
	}
	for _, t := range i.tracks {
		if status, _ := n.trackStatus(t); status == health.Unknown {
			return fmt.Sprintf("waits for the first verdict of %s %s", t.Kind, t.Name), grace
		}
	}
	return "", time.Time{}
}

// refusedFault is why the instance must not take part for want of an address; empty for none.
func (i *instance) refusedFault() string {
	if len(i.refused) == 0 {
		return ""
	}
	for _, a := range i.cfg.Addresses {
		if reason := i.refused[a.key()]; reason != "" {
			return fmt.Sprintf("the kernel refuses %s on %s: %s", a.Prefix, a.Interface, reason)
		}
	}
	return ""
}
