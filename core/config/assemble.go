package config

import (
	"fmt"
	"net/netip"

	"github.com/vipward/vipward/core/heartbeat"
	"github.com/vipward/vipward/core/node"
)

// assemble puts together what the daemon works from.
func (l *loading) assemble() {
	n := &l.cfg.Node
	n.Name = l.opt.Node
	n.Lone = len(l.nodes) == 1
	for _, i := range l.instances {
		n.Instances = append(n.Instances, i.Instance)
	}
	for _, g := range l.groups {
		n.Groups = append(n.Groups, g.Group)
	}
	for _, s := range l.services {
		n.Services = append(n.Services, s.Service)
	}
	for _, p := range l.cfg.Nodes {
		if p.Name != n.Name {
			n.Guard.Peers = append(n.Guard.Peers, node.Peer{
				Name: p.Name, Paths: append([]heartbeat.Path{{Name: "address", Address: p.Address}}, p.Heartbeats...),
			})
		}
	}
	l.guards(&n.Guard)
	n.Guard.Attributes = attributes(*n)
	n.Sysctls = l.neededSysctls()
	l.probeThrough()
	for name := range l.pluginUsed {
		if p := l.declaration(name); p.Lock != nil { // locked, it is as good as declared
			l.cfg.Plugins[name] = p
		}
	}
}

// checkID identifies a check of a real server: the same after a reload as long as its place stays.
func checkID(service string, server netip.AddrPort, n int) string {
	return fmt.Sprintf("server/%s/%v/%d", service, server, n)
}
