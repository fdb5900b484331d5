package kernel

import (
	"cmp"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"time"

	"github.com/cloudflare/ipvs"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/node"
)

// endpoint is a real server in a service.
type endpoint struct {
	service desired.ServiceKey
	server  netip.AddrPort
}

// leaving are the real servers that nobody wishes for any more, and that keep the connections that they have for a while.
type leaving map[endpoint]time.Time // until when

// splitLeaving parts the changes into those to be made at once, and the removals of real servers that have time.
func splitLeaving(ops []desired.ServiceOp) (now, slow []desired.ServiceOp) {
	gone := map[desired.ServiceKey]map[netip.AddrPort]bool{} // a list would be searched once for each of thousands of servers
	for _, op := range ops {
		if op.Action != desired.RemoveDestination || op.Service.Drain == 0 {
			now = append(now, op)
			continue
		}
		dead, ok := gone[op.Service.ServiceKey]
		if !ok {
			dead = make(map[netip.AddrPort]bool, len(op.Service.Gone))
			for _, a := range op.Service.Gone {
				dead[a] = true
			}
			gone[op.Service.ServiceKey] = dead
		}
		if dead[op.Destination.Address] {
			now = append(now, op)
		} else {
			slow = append(slow, op)
		}
	}
	return now, slow
}

// leave lets real servers go: they get no new connections, and are removed when they have none, or their time is over.
func (a *serviceApplier) leave(ops []desired.ServiceOp, repairing bool) {
	before := a.leaving
	a.leaving = leaving{}
	now := a.now()
	var quieted []desired.ServiceOp
	for _, op := range ops {
		e := endpoint{op.Service.ServiceKey, op.Destination.Address}
		until, known := before[e]
		if most := now.Add(op.Service.Drain); !known || until.After(most) {
			until = most
		}
		a.leaving[e] = until
		if op.Destination.Weight > 0 {
			quiet := op
			quiet.Action, quiet.Destination.Weight = desired.UpdateDestination, 0
			quieted = append(quieted, quiet)
		}
	}
	a.do(quieted)
	open := a.openConnections(ops)
	var over []desired.ServiceOp
	for _, op := range ops {
		e := endpoint{op.Service.ServiceKey, op.Destination.Address}
		_, known := before[e]
		late := !now.Before(a.leaving[e])
		if open[e] == 0 || late {
			over = append(over, op)
		} else if repairing && !known {
			a.repaired = append(a.repaired, describeLeaving(op))
		}
	}
	for _, op := range a.do(over) {
		e := endpoint{op.Service.ServiceKey, op.Destination.Address}
		_, known := before[e]
		n := open[e]
		delete(a.leaving, e)
		switch {
		case known && n > 0:
			a.left = append(a.left, node.Left{Service: e.service, Server: e.server, Open: n})
		case known:
			a.left = append(a.left, node.Left{Service: e.service, Server: e.server})
		case repairing:
			a.repaired = append(a.repaired, describe(op))
		}
	}
}

// ending are services of ours that nobody wishes for any more, as wishes without real servers: these leave, and the service goes with the
// last of them. A service without time, one on a VIP that went as well, and all of them when the daemon ends, are not among them: they go
// at once.
func (a *serviceApplier) ending(have []desired.Service, wanted map[desired.ServiceKey]time.Duration) (out []desired.Service) {
	for _, h := range have {
		drain := a.owned.keys[h.ServiceKey]
		_, stays := wanted[h.ServiceKey]
		vip, known := a.vips[h.Address.Addr()]
		if stays || drain == 0 || a.last || known && !vip || len(h.Destinations) == 0 {
			continue
		}
		h.Destinations, h.Drain = nil, drain
		out = append(out, h)
	}
	return out
}

// end removes the services whose last real server has left, and returns those that stay for now.
func (a *serviceApplier) end(services []desired.Service) (stay []desired.Service) {
	busy := map[desired.ServiceKey]bool{}
	for e := range a.leaving {
		busy[e.service] = true
	}
	for _, s := range services {
		gone := a.broken == nil && !busy[s.ServiceKey] && len(a.do([]desired.ServiceOp{{Action: desired.RemoveService, Service: s}})) > 0
		if !gone {
			stay = append(stay, s)
		}
	}
	return stay
}

// openConnections counts what the leaving servers have, after they get no new ones.
func (a *serviceApplier) openConnections(ops []desired.ServiceOp) map[endpoint]uint32 {
	open := map[endpoint]uint32{}
	var last desired.ServiceKey
	for k, op := range ops {
		if k > 0 && op.Service.ServiceKey == last {
			continue // those of one service stand together
		}
		last = op.Service.ServiceKey
		s, err := writeService(op.Service)
		var dests []ipvs.DestinationExtended
		if err == nil {
			err = a.backend.call(func(t ipvsTable) (err error) {
				dests, err = t.Destinations(s)
				return ignore(err, fs.ErrNotExist)
			})
		}
		if err != nil {
			a.fail(op.Service.ServiceKey, fmt.Errorf("list the real servers of %v: %w", last, err))
			for _, o := range ops { // what is not known may have connections
				if o.Service.ServiceKey == last {
					open[endpoint{last, o.Destination.Address}] = 1
				}
			}
			continue
		}
		for _, d := range dests {
			open[endpoint{last, netip.AddrPortFrom(d.Address, d.Port)}] = d.ActiveConnections + d.InactiveConnections
		}
	}
	return open
}

// sorted are those that leave, in the order of their services.
func (l leaving) sorted() []node.Leaving {
	out := make([]node.Leaving, 0, len(l))
	for e, until := range l {
		out = append(out, node.Leaving{Service: e.service, Server: e.server, Until: until})
	}
	slices.SortFunc(out, func(x, y node.Leaving) int { return cmp.Or(x.Service.Compare(y.Service), x.Server.Compare(y.Server)) })
	return out
}

func describeLeaving(op desired.ServiceOp) string {
	return fmt.Sprintf("the real server %v of %v had been added by somebody else; it gets no new connections, and is removed when it has none",
		op.Destination.Address, op.Service.ServiceKey)
}
