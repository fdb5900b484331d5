package main

import (
	"fmt"
	"strings"

	"github.com/vipward/vipward/core/control"
)

// peers shows the other members of the pair, as their heartbeats tell of them.
func (v *view) peers(list []control.Peer) {
	if len(list) == 0 {
		return
	}
	t := &table{}
	t.add("PEER", "STATE", "HEARD", "PATHS", "VERSION", "WHY")
	for _, p := range list {
		is := cell{"silent", sgrBad}
		if p.Alive {
			is = cell{"alive", sgrGood}
		}
		t.add(p.Name, is, heard(p.HeardMS), paths(p.Paths), p.Version, strings.Join(remarks(p), "; "))
	}
	v.section(t)
}

func heard(ms int64) string {
	if ms < 0 {
		return "never"
	}
	return milliseconds(ms) + " ago"
}

// paths are the ways to a peer that heartbeats come by, and the names of those that they do not.
func paths(list []control.Path) string {
	var dark []string
	for _, p := range list {
		if !p.Up {
			dark = append(dark, p.Name)
		}
	}
	text := fmt.Sprintf("%d of %d", len(list)-len(dark), len(list))
	if len(dark) > 0 {
		text += ", not " + strings.Join(dark, ", ")
	}
	return text
}

// remarks are what somebody should know about a peer.
func remarks(p control.Peer) []string {
	var out []string
	if p.Maintenance {
		out = append(out, "in maintenance")
	}
	if p.Isolated {
		out = append(out, "reaches none of the references")
	}
	if p.Alive && !p.HearsUs {
		out = append(out, "does not hear this node")
	}
	if p.Fence != "" && p.Fence != "none" {
		out = append(out, strings.TrimSuffix("fencing "+p.Fence+": "+p.FenceReason, ": "))
	}
	if p.Drift != "" {
		out = append(out, "another configuration: "+p.Drift)
	}
	return out
}
