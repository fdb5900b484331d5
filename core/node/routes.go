package node

import (
	"slices"
	"time"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/event"
)

// Route is one block virtual_route.
type Route struct {
	desired.Route
	// Untracked has the instance go on where the kernel refuses the route; else that is FAULT.
	Untracked bool
}

// Rule is one block virtual_rule.
type Rule struct {
	desired.Rule
	// Untracked is as in [Route].
	Untracked bool
}

// paths gives the text of each route and rule of the instance, and whether it is tracked.
func (i *instance) paths(yield func(text string, tracked bool) bool) {
	for _, r := range i.cfg.Routes {
		if !yield(r.String(), !r.Untracked) {
			return
		}
	}
	for _, r := range i.cfg.Rules {
		if !yield(r.String(), !r.Untracked) {
			return
		}
	}
}

// wishRoutes adds the routes and rules that a master sets.
func (i *instance) wishRoutes(s *desired.State) {
	if !i.holds && !i.keeps() {
		return
	}
	for _, r := range i.cfg.Routes {
		if !slices.Contains(s.Routes, r.Route) {
			s.Routes = append(s.Routes, r.Route)
		}
	}
	for _, r := range i.cfg.Rules {
		if !slices.Contains(s.Rules, r.Rule) {
			s.Rules = append(s.Rules, r.Rule)
		}
	}
}

// routesApplied takes the kernel's answer: a route that it refuses takes its instance out of the election, as an address does, unless
// the configuration says that it does not matter so much.
func (n *Node) routesApplied(now time.Time, in Applied) {
	for _, i := range n.instances {
		for text, tracked := range i.paths {
			reason, failed := in.FailedRoutes[text]
			switch {
			case !failed || !i.holds:
				if i.pathless[text] != "" && !tracked {
					delete(i.pathless, text)
				}
			case i.pathless[text] != "":
			case tracked:
				n.refusePath(now, i, text, reason)
			default:
				i.lack(text, reason)
				n.emit(event.Event{
					Code: "route.refused", Severity: event.Warning, Kind: event.Route, Subject: text, Notify: i.cfg.Notify,
					Reason: reason + "; " + i.cfg.Name + " goes on without it, and it is tried again",
				})
			}
		}
	}
	for _, text := range in.RepairedRoutes {
		n.emit(event.Event{
			Code: "route.repaired", Severity: event.Warning, Kind: event.Route, Subject: text,
			Reason: "somebody else had removed or changed it; it was put back",
		})
	}
}

func (i *instance) lack(text, reason string) {
	if i.pathless == nil {
		i.pathless = map[string]string{}
	}
	i.pathless[text] = reason
}

func (n *Node) refusePath(now time.Time, i *instance, text, reason string) {
	i.lack(text, reason)
	n.emit(event.Event{
		Code: "route.refused", Severity: event.Critical, Kind: event.Route, Subject: text, Notify: i.cfg.Notify,
		Reason: reason + i.backOff(now),
	})
}

// pathFault is why the instance must not take part for want of a route; empty for none.
func (i *instance) pathFault() string {
	for text, tracked := range i.paths {
		if reason := i.pathless[text]; tracked && reason != "" {
			return "the kernel refuses a route or rule: " + reason
		}
	}
	return ""
}
