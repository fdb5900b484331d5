package node

import (
	"fmt"
	"strings"

	"github.com/vipward/vipward/core/event"
	"github.com/vipward/vipward/core/heartbeat"
)

// compareConfig tells of what is configured differently, once for each difference.
func (n *Node) compareConfig(m *member, msg heartbeat.Message) {
	m.hash = msg.ConfigHash
	for _, a := range msg.Attributes {
		m.attributes[a.Name] = a.Value
	}
	if m.hash == n.cfg.Guard.ConfigHash {
		if m.drift != "" {
			m.drift = ""
			n.emit(event.Event{Code: "config.same", Severity: event.Info, Kind: event.Node, Subject: m.cfg.Name, Reason: "both have the same configuration again"})
		}
		clear(m.attributes)
		return
	}
	if len(msg.Attributes) == 0 {
		return
	}
	drift := strings.Join(n.drifts(m), "; ")
	if drift == "" || drift == m.drift {
		return
	}
	m.drift = drift
	n.emit(event.Event{
		Code: "config.drift", Severity: event.Warning, Kind: event.Node, Subject: m.cfg.Name, Reason: "its configuration is another one: " + drift,
	})
}

// maxDrifts is how many differences are named.
const maxDrifts = 8

// drifts names the attributes that differ, with what they are here and there.
func (n *Node) drifts(m *member) []string {
	var out []string
	for _, a := range n.cfg.Guard.Attributes {
		if there, known := m.attributes[a.Name]; known && there != a.Value {
			out = append(out, fmt.Sprintf("%s is %s here and %s there", a.Name, a.Value, there))
		}
	}
	if len(out) == 0 && len(m.attributes) >= len(n.cfg.Guard.Attributes) {
		return []string{"the files differ, but not in what has to be the same"}
	}
	if more := len(out) - maxDrifts; more > 0 {
		out = append(out[:maxDrifts], fmt.Sprintf("and %d more", more))
	}
	return out
}
