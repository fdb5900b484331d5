package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/zclconf/go-cty/cty"

	"github.com/vipward/vipward/core/heartbeat"
	"github.com/vipward/vipward/core/node"
)

// heartbeats are the blocks `heartbeat` of a node: more ways to it than its address.
func (l *loading) heartbeats(n nodeDecl) (paths []heartbeat.Path) {
	for _, k := range n.heartbeats {
		b := l.open(k, spec{attrs: []string{"address", "interface", "routed"}}, false)
		b.required("address", `"192.168.9.2"`)
		p := heartbeat.Path{Name: k.Labels[0], Address: b.address("address"), Interface: b.interfaceName("interface", ""), Routed: b.flag("routed", false)}
		same := slices.IndexFunc(paths, func(o heartbeat.Path) bool { return o.Name == p.Name || o.Address == p.Address })
		switch {
		case p.Name == "address" || same >= 0 && paths[same].Name == p.Name:
			l.fault(b.label, "node %q has two paths %q", n.name, p.Name).because("Each path has a name of its own; \"address\" is that of the node's address.")
		case p.Address.IsValid() && (p.Address == n.ip || same >= 0):
			l.fault(b.where("address"), "node %q has two paths to %v", n.name, p.Address).because("A second path to the same address says nothing new. Write an address of another network.")
		case p.Routed && p.Address.IsLinkLocalUnicast():
			l.fault(b.where("routed"), "%v cannot be reached over routers", p.Address).because("It is link-local. Write an address that is routed, or remove routed.")
		case p.Address.IsValid():
			paths = append(paths, p)
		}
	}
	return paths
}

// heartbeatPort takes the UDP port of the heartbeats, which is the same at both ends.
func (b *block) heartbeatPort() uint16 {
	const name = "heartbeat_port"
	port := b.integer(name, heartbeat.Port, 1, 65535, "A UDP port is 1 to 65535.")
	for _, n := range b.nodeNames() {
		v, ok := b.evaluate(name, n)
		if ok && isMap(v) {
			v, ok = v.pick(n)
		}
		if !ok || v.Type() != cty.Number {
			continue
		}
		if there, _ := v.AsBigFloat().Int64(); there != int64(port) && there >= 1 && there <= 65535 {
			b.fault(b.where(name), "heartbeat_port is %d on node %q and %d on node %q", port, b.opt.Node, there, n).because(
				"A heartbeat goes from a port to the same port of the other node: neither would hear the other. Write one port for all.")
			break
		}
	}
	return uint16(port)
}

// attributes are what has to be the same on all members, for them to compare.
func attributes(n node.Config) (all []heartbeat.Attribute) {
	add := func(name string, value any) {
		all = append(all, heartbeat.Attribute{Name: name, Value: fmt.Sprint(value)})
	}
	for _, i := range n.Instances {
		at := "vrrp_instance." + i.Name + "."
		add(at+"virtual_router_id", i.VRRP.VRID)
		add(at+"version", i.VRRP.Version)
		add(at+"advert_interval", i.VRRP.Interval)
		add(at+"preempt", i.VRRP.Preempt)
		addresses := make([]string, 0, len(i.Addresses))
		for _, a := range i.Addresses {
			addresses = append(addresses, a.Prefix.String())
		}
		slices.Sort(addresses)
		add(at+"virtual_address", strings.Join(addresses, " "))
	}
	for _, g := range n.Groups {
		add("vrrp_sync_group."+g.Name+".instances", strings.Join(slices.Sorted(slices.Values(g.Instances)), " "))
	}
	for _, s := range n.Services {
		at := "virtual_server." + s.Name + "."
		add(at+"address", s.Service.Address)
		add(at+"scheduler", s.Service.Scheduler)
	}
	return all
}
