package node

import (
	"fmt"
	"slices"
	"time"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/event"
)

// table is what was last reported of the kernel's table of virtual services.
type table struct {
	reason  string                        // why it could not be asked
	failed  map[desired.ServiceKey]string // the services that are not as they should be
	leaving []Leaving
	lacks   []string // what the system lacks for the services
	unsaid  string   // why connections are not exchanged
}

// servicesApplied tells of services that the kernel does not hold, once for each reason, and of those put back.
func (n *Node) servicesApplied(now time.Time, in ServicesApplied) {
	n.syncApplied(now, in)
	for _, r := range in.Repaired {
		n.emit(event.Event{Code: "service.repaired", Severity: event.Warning, Kind: event.Service, Subject: "ipvs", Reason: r})
	}
	for _, l := range in.Left {
		n.emit(n.leftEvent(l))
	}
	n.tellLacks(in.Lacks)
	if in.Error != n.table.reason {
		n.emit(failedEvent("ipvs", in.Error, "the kernel is asked again"))
	}
	if in.Error == "" { // else nothing was found out about any of them
		n.tellFailed(in.Failed)
	}
	n.table.reason, n.table.leaving = in.Error, in.Leaving
}

// tellFailed tells of each service whose state in the kernel has changed.
func (n *Node) tellFailed(failed map[desired.ServiceKey]string) {
	before := n.table.failed
	n.table.failed = failed
	for _, key := range slices.SortedFunc(keysOf(before, failed), desired.ServiceKey.Compare) {
		if before[key] != failed[key] {
			n.emit(failedEvent(n.nameOf(key), failed[key], "the kernel holds "+key.String()+" as it should"))
		}
	}
}

// keysOf gives the keys of both maps, each once.
func keysOf(a, b map[desired.ServiceKey]string) func(func(desired.ServiceKey) bool) {
	return func(yield func(desired.ServiceKey) bool) {
		for k := range a {
			if !yield(k) {
				return
			}
		}
		for k := range b {
			if _, both := a[k]; !both && !yield(k) {
				return
			}
		}
	}
}

// failedEvent is that of a failure, or with an empty reason that of its end.
func failedEvent(subject, reason, end string) event.Event {
	e := event.Event{Code: "service.failed", Severity: event.Critical, Kind: event.Service, Subject: subject, Reason: reason}
	if reason == "" {
		e.Code, e.Severity, e.Reason = "service.applied", event.Info, end
	}
	return e
}

// nameOf is the virtual server that has a key, or the key in words.
func (n *Node) nameOf(key desired.ServiceKey) string {
	for _, v := range n.services {
		if slices.Contains(v.cfg.Keys(), key) {
			return v.cfg.Name
		}
	}
	return key.String()
}

func (n *Node) leftEvent(l Left) event.Event {
	e := event.Event{
		Code: "real_server.left", Severity: event.Info, Kind: event.RealServer, Subject: l.Server.String(), Service: n.nameOf(l.Service),
		Reason: "it had no connections any more, and was removed",
	}
	if l.Open > 0 {
		e.Severity, e.Reason = event.Warning, fmt.Sprintf("it was removed with %d connections, since its drain_timeout is over", l.Open)
	}
	return e
}

// trouble is why the kernel does not hold a service as it should; empty for all well.
func (n *Node) trouble(v *service) string {
	if n.table.reason != "" {
		return n.table.reason
	}
	for _, key := range v.cfg.Keys() {
		if reason := n.table.failed[key]; reason != "" {
			return reason
		}
	}
	return ""
}

// leavers are the real servers that leave a service.
func (n *Node) leavers(v *service) (out []Leaving) {
	if len(n.table.leaving) == 0 {
		return nil
	}
	for _, key := range v.cfg.Keys() {
		at, found := slices.BinarySearchFunc(n.table.leaving, key, func(l Leaving, k desired.ServiceKey) int { return l.Service.Compare(k) })
		for ; found && at < len(n.table.leaving) && n.table.leaving[at].Service == key; at++ {
			out = append(out, n.table.leaving[at])
		}
	}
	return out
}

// strays are the real servers that leave services which are not configured any more.
func (n *Node) strays() []Leaving {
	if len(n.table.leaving) == 0 {
		return nil
	}
	known := map[desired.ServiceKey]bool{}
	for _, v := range n.services {
		for _, key := range v.cfg.Keys() {
			known[key] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(n.table.leaving), func(l Leaving) bool { return known[l.Service] })
}
