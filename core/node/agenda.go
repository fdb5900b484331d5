package node

import (
	"container/heap"
	"time"
)

// agenda keeps the instances that have something to do at a known instant, the first one on top, so that a step costs the same
// however many instances there are. It is a heap (container/heap).
type agenda []*instance

func (a agenda) Len() int { return len(a) }

// Less puts instances of one instant in the order of the configuration.
func (a agenda) Less(x, y int) bool {
	if !a[x].due.Equal(a[y].due) {
		return a[x].due.Before(a[y].due)
	}
	return a[x].order < a[y].order
}

func (a agenda) Swap(x, y int) {
	a[x], a[y] = a[y], a[x]
	a[x].place, a[y].place = x, y
}

// Push is for container/heap alone.
func (a *agenda) Push(x any) {
	i := x.(*instance)
	i.place = len(*a)
	*a = append(*a, i)
}

// Pop is for container/heap alone.
func (a *agenda) Pop() any {
	last := len(*a) - 1
	i := (*a)[last]
	i.place, *a = nowhere, (*a)[:last]
	return i
}

// nowhere is the place of an instance that waits for no instant.
const nowhere = -1

// plan puts an instance where it belongs.
func (a *agenda) plan(i *instance, due time.Time) {
	i.due = due
	switch {
	case due.IsZero() && i.place == nowhere:
	case due.IsZero():
		heap.Remove(a, i.place)
	case i.place == nowhere:
		heap.Push(a, i)
	default:
		heap.Fix(a, i.place)
	}
}

// Overdue tells whether an instance has waited for a master for long enough at this instant, waits for answers to take over, which any
// step may let it do, or was stopped as one that may go on: what has arrived meanwhile is to be stepped before anything else, or the
// silence may be one of this process.
func (n *Node) Overdue(now time.Time) bool { return n.wanting > 0 || n.agenda.overdue(now, 0) }

// overdue looks at those below a place of the heap that are due.
func (a agenda) overdue(now time.Time, place int) bool {
	if place >= len(a) || now.Before(a[place].due) {
		return false
	}
	return a[place].router.Overdue(now) || a.overdue(now, 2*place+1) || a.overdue(now, 2*place+2)
}

// touch has an instance looked at in this step, because something happened to it.
func (n *Node) touch(i *instance) {
	if i.touched {
		return
	}
	i.touched = true
	n.touched = append(n.touched, i)
	if i.group != nil {
		i.group.touched = true
	}
}

// choose adds those whose time has come, or all of them where something has happened that any may depend on.
func (n *Node) choose(now time.Time) {
	for len(n.agenda) > 0 && !now.Before(n.agenda[0].due) {
		n.touch(heap.Pop(&n.agenda).(*instance))
	}
	n.retryRefused(now)
	if n.everything {
		n.touched = n.touched[:0]
		for _, i := range n.instances {
			i.touched = false
			n.touch(i)
		}
	}
}

// schedule notes when each instance of this step wants to be looked at next.
func (n *Node) schedule() {
	if n.everything { // also after a reload, which leaves instances out
		n.agenda, n.wanting = n.agenda[:0], 0
		for k, i := range n.instances {
			i.order, i.place, i.wanting = k, nowhere, false
		}
	}
	for _, i := range n.touched {
		i.touched = false
		if i.group != nil {
			i.group.touched = false
		}
		n.agenda.plan(i, n.wakes(i))
		if wants := i.router.Wants() != ""; wants != i.wanting {
			i.wanting = wants
			if wants {
				n.wanting++
			} else {
				n.wanting--
			}
		}
	}
	n.touched, n.everything = n.touched[:0], false
}

// wakes is when an instance has to be looked at next, whatever happens; zero for never.
func (n *Node) wakes(i *instance) time.Time {
	due := earlier(i.router.Deadline(), earlier(n.fastKeepAlive(i), n.boundKeepAlive(i)))
	if n.started.IsZero() || n.stopping {
		return due
	}
	due = earlier(earlier(due, i.retryAt), i.until)
	return earlier(earlier(due, i.guard.call), earlier(i.guard.due, earlier(i.guard.around, n.grantDeadline(i))))
}
