package node

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/vipward/vipward/core/vrrp"
)

// move is a command that hands instances over, until the last of them has found a peer, or has not.
type move struct {
	left   int // that are under way
	done   []string
	failed []error
	took   time.Duration
}

// failover begins a planned hand-over.
func (n *Node) failover(now time.Time, in Failover) {
	which, err := n.movable(in.Instance)
	if err != nil {
		n.answer(in.ID, err, "")
		return
	}
	n.moves[in.ID] = &move{left: len(which)}
	for _, i := range which {
		i.command = in.ID
	}
	for _, i := range which {
		for _, m := range i.mates() {
			if m.isMaster() && !m.router.HandingOver() {
				n.handover(now, m, false)
			}
		}
	}
}

// movable are the instances that a command means, or why they cannot be handed over.
func (n *Node) movable(name string) ([]*instance, error) {
	if n.stopping {
		return nil, fmt.Errorf("%w: the daemon is stopping", ErrRefused)
	}
	if name == "" {
		all := slices.DeleteFunc(slices.Clone(n.instances), func(i *instance) bool { return !i.isMaster() || i.router.HandingOver() })
		if len(all) == 0 {
			return nil, fmt.Errorf("%w: this node is MASTER of nothing that is not being handed over already", ErrRefused)
		}
		return all, nil
	}
	i := n.find(name)
	switch {
	case i == nil:
		names := make([]string, 0, len(n.instances))
		for _, i := range n.instances {
			names = append(names, i.cfg.Name)
		}
		return nil, fmt.Errorf("%w %q; there are %q", ErrUnknown, name, names)
	case i.router.HandingOver():
		return nil, fmt.Errorf("%w: a hand-over of %s is under way", ErrRefused, name)
	case !i.isMaster():
		return nil, fmt.Errorf("%w: %s is %s here, not MASTER; run the command on the node that is master", ErrRefused, name, i.router.State())
	}
	return []*instance{i}, nil
}

// find is the instance of that name, or the first one of the sync group of that name; nil for none.
func (n *Node) find(name string) *instance {
	for _, i := range n.instances {
		if i.cfg.Name == name || i.group != nil && i.group.cfg.Name == name {
			return i
		}
	}
	return nil
}

// moved takes the end of a hand-over, and answers when it was the last of its command.
func (n *Node) moved(i *instance, h *vrrp.HandoverResult) {
	if h.OK {
		n.settleMove(i, h.Took, fmt.Sprintf("%s was handed over to %s", i.cfg.Name, h.Peer), nil)
		return
	}
	n.settleMove(i, 0, "", fmt.Errorf("%w: %s; %s is %s here", ErrTimeout, h.Reason, i.cfg.Name, i.router.State()))
}

// endMove answers for an instance whose hand-over nobody will see the end of.
func (n *Node) endMove(i *instance, why string) {
	n.settleMove(i, 0, "", fmt.Errorf("%w: %s", ErrRefused, why))
}

func (n *Node) settleMove(i *instance, took time.Duration, done string, err error) {
	m := n.moves[i.command]
	if i.command == 0 || m == nil {
		return
	}
	id := i.command
	i.command = 0
	m.left--
	m.took = max(m.took, took)
	if err != nil {
		m.failed = append(m.failed, err)
	} else {
		m.done = append(m.done, done)
	}
	if m.left > 0 {
		return
	}
	delete(n.moves, id)
	a := Answer{ID: id, Took: m.took, Text: strings.Join(m.done, ", "), Err: errors.Join(m.failed...)}
	if a.Err != nil && len(m.done) > 0 {
		a.Err = fmt.Errorf("%w; %s", a.Err, a.Text)
	}
	n.out.Answers = append(n.out.Answers, a)
}
