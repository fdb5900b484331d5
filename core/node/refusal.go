package node

import (
	"fmt"
	"slices"
	"time"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/event"
)

// What the kernel refuses puts its instance into FAULT for retryFirst, doubled each time up to retryMost: then it takes part again, for
// its peer may be gone. From a peer that is there it takes nothing before patienceFirst, doubled up to patienceMost: each try is an
// election that costs the clients a moment, and the kernel mostly says the same again.
const (
	retryFirst    = 5 * time.Second
	retryMost     = time.Minute
	patienceFirst = time.Minute
	patienceMost  = time.Hour
)

func (n *Node) refuse(now time.Time, i *instance, k desired.AddressKey, reason string) {
	i.refused[k] = reason
	n.emit(event.Event{
		Code: "address.refused", Severity: event.Critical, Kind: event.Address, Subject: k.Prefix.String(), Reason: reason + i.backOff(now),
	})
}

// backOff takes the instance out of the election for a while, and says in words for how long.
func (i *instance) backOff(now time.Time) string {
	i.retry = min(max(2*i.retry, retryFirst), retryMost)
	i.patience = min(max(2*i.patience, patienceFirst), patienceMost)
	i.retryAt, i.shy = now.Add(i.retry), now.Add(i.patience)
	return fmt.Sprintf("; it takes part again in %v, and for %v only where there is no other master", i.retry, i.patience)
}

// retryRefused lets refused addresses be tried again when it is time. The rest of a sync group depends on it.
func (n *Node) retryRefused(now time.Time) {
	for _, i := range n.touched {
		if !n.stopping && !i.retryAt.IsZero() && !now.Before(i.retryAt) {
			i.retryAt = time.Time{}
			i.dumb, i.mute, i.unsent = "", time.Time{}, false
			clear(i.refused)
			clear(i.pathless)
			n.everything = true
		}
	}
}

// reopen has what the kernel has refused tried again at once where its interface has come, was made again, or has other addresses: one of
// them may have stood in the way.
func (n *Node) reopen(now time.Time, in Links) {
	for _, i := range n.instances {
		if i.shy.IsZero() && i.retryAt.IsZero() {
			continue
		}
		for _, a := range i.cfg.Addresses {
			is, was := in[a.Interface], n.links[a.Interface]
			if is.Index == 0 || is.Index == was.Index && !lacks(is, was) {
				continue
			}
			if i.shy = (time.Time{}); !i.retryAt.IsZero() {
				i.retryAt = now
			}
			n.touch(i)
		}
	}
}

// lacks tells whether an interface has lost an address.
func lacks(is, was Link) bool {
	for _, p := range was.Addresses {
		if !slices.Contains(is.Addresses, p) {
			return true
		}
	}
	return false
}

// shyUntil is when the instance, with its sync group, may take something from a master of lower priority again; zero for at any time.
func (i *instance) shyUntil() (until time.Time) {
	for _, m := range i.mates() {
		until = latest(until, m.shy)
	}
	return until
}

// shies says that the instance leaves a master alone which it would replace, because of what the kernel refused; empty where it is not so.
func (i *instance) shies() string {
	for _, m := range i.mates() {
		if m.shy.Equal(i.deferred) && !m.shy.IsZero() {
			return "since the kernel has refused what " + m.cfg.Name + " needs"
		}
	}
	return ""
}
