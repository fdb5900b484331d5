package config

import (
	"net/netip"
	"slices"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"github.com/vipward/vipward/core/guard"
	"github.com/vipward/vipward/core/heartbeat"
	"github.com/vipward/vipward/core/node"
	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// What a witness is asked in: locks of the kernel are in whole seconds, and a VIP is let go a second before its grant ends.
const (
	witnessTimeout = time.Second
	witnessTTL     = 5 * time.Second
	leastTTL       = 3 * time.Second
)

// gateway is the reference that is not an address: the default gateway.
const gateway = "gateway"

// arbitration is the block `arbitration`.
type arbitration struct {
	probe      bool
	references []reference
	gateway    bool
	onHold     guard.OnHoldExpired
	witness    string
	ttl        time.Duration
	onLoss     guard.OnWitnessLoss
	key        []byte // of the heartbeats; empty for none
	port       uint16 // of the heartbeats
}

// reference is an address that proves by answering that a node is not cut off, and where it stands.
type reference struct {
	netip.Addr
	at hcl.Range
}

func arbitrationSpec() spec {
	return spec{attrs: []string{"probe_vip", "references", "on_hold_expired", "witness", "witness_ttl", "on_witness_loss", "key_file", "heartbeat_port"}}
}

// readWitnesses reads who can say which node may hold an instance.
func (l *loading) readWitnesses(kids map[string][]kid) {
	for _, k := range kids["witness"] {
		c := l.openComponent(k, pluginv1.Kind_WITNESS, spec{attrs: []string{"timeout"}}, false)
		w := Witness{Kind: c.name, Name: k.Labels[1], Timeout: c.duration("timeout", witnessTimeout, span{
			least: 100 * time.Millisecond, most: 10 * time.Second, why: "One call of a witness may take 100ms to 10s.",
		})}
		w.Config, _ = c.decode()
		l.cfg.Witnesses = append(l.cfg.Witnesses, w)
	}
}

// readArbitration reads what has to be known before a takeover. The blocks fencing and witness have been read.
func (l *loading) readArbitration(kids map[string][]kid) {
	l.arbitration = arbitration{probe: true, gateway: true, onHold: guard.HoldOn, port: heartbeat.Port}
	for _, k := range kids["arbitration"] {
		l.arbitration = l.open(k, arbitrationSpec(), true).arbitration()
	}
	for _, k := range kids["witness"] {
		if name := k.Labels[1]; name != l.arbitration.witness {
			l.warn(labelRange(k.Block), "witness %q is not used", name).because("Name it: arbitration { witness = %q }", name)
		}
	}
}

func (b *block) arbitration() arbitration {
	a := arbitration{
		probe: b.flag("probe_vip", true),
		onHold: guard.OnHoldExpired(b.choice("on_hold_expired", string(guard.HoldOn),
			string(guard.HoldOn), string(guard.HoldFence), string(guard.HoldTakeover))),
		witness: b.text("witness", ""),
		onLoss:  guard.OnWitnessLoss(b.choice("on_witness_loss", string(guard.WitnessFailsafe), string(guard.WitnessFailsafe), string(guard.WitnessRelease))),
	}
	a.gateway, a.references = b.arbiters()
	a.ttl = b.duration("witness_ttl", witnessTTL, span{
		least: leastTTL, most: 5 * time.Minute, step: time.Second, why: "A grant lasts 3s to 5m, in whole seconds.",
	})
	if b.given("key_file") {
		a.key = []byte(b.secret())
	}
	a.port = b.heartbeatPort()
	b.checkHold(a)
	b.checkWitness(&a)
	return a
}

// arbiters takes the references: addresses, and the word gateway.
func (b *block) arbiters() (viaGateway bool, out []reference) {
	if !b.given("references") {
		return true, nil
	}
	for _, v := range b.elements("references") {
		if v.Type() == cty.String && !v.IsNull() && v.AsString() == gateway {
			viaGateway = true
			continue
		}
		a := b.asAddress(v, "references")
		if slices.ContainsFunc(out, func(r reference) bool { return r.Addr == a }) {
			b.fault(v.at, "references has %v twice", a).because("Each is asked once.")
		}
		if a.IsLoopback() || a.IsMulticast() || a.IsUnspecified() {
			b.fault(v.at, "%v cannot be a reference", a).because("It says nothing of the network. Write the address of a router or a server beside the pair.")
		}
		for _, n := range b.cfg.Nodes {
			if a == n.Address || slices.ContainsFunc(n.Heartbeats, func(p heartbeat.Path) bool { return p.Address == a }) {
				b.warn(v.at, "reference %v is the address of node %q", a, n.Name).because(
					"A node is no third party: heartbeats ask it already. Write the address of a router or a server beside the pair.")
			}
		}
		if a.IsValid() {
			out = append(out, reference{a, v.at})
		}
	}
	return viaGateway, out
}

// checkHold reports a fencing at the end of HOLD that there is not.
func (b *block) checkHold(a arbitration) {
	armed := slices.ContainsFunc(b.fencing, func(f fencing) bool { return f.Mode != guard.FencingOff })
	if a.onHold == guard.HoldFence && !armed {
		b.fault(b.where("on_hold_expired"), "on_hold_expired is fence, and no node can be fenced").because(
			"Add a block fencing for each node, with mode = \"best_effort\" or \"required\", or write on_hold_expired = \"hold\".")
	}
	if a.onHold == guard.HoldTakeover {
		b.warn(b.where("on_hold_expired"), "a takeover while the peer still answers makes two owners").because(
			"A silent peer that answers for the VIP after its lease still forwards. Both will answer until one is stopped; with \"fence\" the peer is switched off first.")
	}
}

// checkWitness looks at what belongs to the witness.
func (b *block) checkWitness(a *arbitration) {
	for _, name := range []string{"witness_ttl", "on_witness_loss"} {
		if a.witness == "" && b.given(name) {
			b.fault(b.where(name), "%s without a witness", name).because("It says how the witness is used. Name one: witness = \"NAME\", of a block witness \"KIND\" \"NAME\".")
		}
	}
	if a.witness == "" {
		return
	}
	var known []string
	for _, w := range b.cfg.Witnesses {
		known = append(known, w.Name)
	}
	k := slices.Index(known, a.witness)
	if k < 0 {
		b.fault(b.where("witness"), "no witness %q", a.witness).because("%s Declare it with a block witness \"KIND\" %q.",
			thereAre("witnesses", a.witness, known), a.witness)
		return
	}
	if w := b.cfg.Witnesses[k]; w.Timeout > a.ttl/3 {
		b.fault(b.where("witness_ttl"), "grants of %v are too short for witness %q", a.ttl, w.Name).because(
			"They are renewed after a third of their time, and one call may take %v. Write witness_ttl = \"%v\", or shorten the timeout of the witness.",
			w.Timeout, max(leastTTL, 3*w.Timeout).Round(time.Second))
	}
	required := slices.ContainsFunc(b.fencing, func(f fencing) bool { return f.Mode == guard.FencingRequired && !f.DryRun })
	if required && a.onLoss == guard.WitnessFailsafe {
		if b.given("on_witness_loss") {
			b.warn(b.where("on_witness_loss"), "on_witness_loss = \"failsafe\" does not hold with fencing required").because(
				"The peer may take over with the grant alone, so that this node lets go when it cannot renew it. Write \"release\".")
		}
		a.onLoss = guard.WitnessRelease
	}
}

// arbitrate assembles it.
func (a arbitration) arbitrate(g *node.Guard) {
	g.Key, g.HeartbeatPort = a.key, a.port
	g.ProbeVIP, g.Gateway, g.OnHoldExpired = a.probe, a.gateway, a.onHold
	for _, r := range a.references {
		g.References = append(g.References, r.Addr)
	}
	if a.witness != "" {
		g.Witness, g.WitnessTTL, g.OnWitnessLoss = a.witness, a.ttl, a.onLoss
	}
}
