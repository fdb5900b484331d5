package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vipward/vipward/core/control"
)

// priority is the effective priority, and the base where it differs.
func priority(i control.Instance) string { return of(i.EffectivePriority, i.Priority) }

// of is a figure with what it was to be, where the two differ.
func of(is, wanted int) string {
	if is == wanted {
		return strconv.Itoa(is)
	}
	return fmt.Sprintf("%d of %d", is, wanted)
}

// master is who is master, and how long ago a backup heard of it.
func master(i control.Instance) string {
	m := i.Master
	switch {
	case m.Address == "":
		return ""
	case i.State == "MASTER":
		return "this node"
	case m.LastAdvertMS == nil:
		return fmt.Sprintf("%s (%d)", m.Address, m.Priority)
	}
	return fmt.Sprintf("%s (%d, %s ago)", m.Address, m.Priority, milliseconds(*m.LastAdvertMS))
}

func vips(i control.Instance) string {
	words := make([]string, len(i.Addresses))
	for k, a := range i.Addresses {
		words[k] = vip(a)
	}
	return strings.Join(words, ", ")
}

// vip is an address with what this node has of it.
func vip(a control.Address) string {
	text := a.Address.String()
	switch {
	case a.Error != "":
		return text + " refused: " + a.Error
	case !a.Held:
		return text
	case a.LeaseMS > 0:
		return fmt.Sprintf("%s held (lease %s)", text, milliseconds(a.LeaseMS))
	}
	return text + " held"
}

// why is the reason of the state, with the tracks that speak against the instance.
func why(i control.Instance) string {
	words := []string{i.Reason}
	for _, k := range i.Tracks {
		switch {
		case k.State != "up":
			words = append(words, k.Name+" "+k.State+weight(k))
		case k.Stale:
			words = append(words, k.Name+" stale")
		}
	}
	return strings.Join(words, "; ")
}

// stale is a reason, with a note where the state is only what was true when it was last looked at.
func stale(reason string, is bool) string {
	switch {
	case !is:
		return reason
	case reason == "":
		return "stale"
	}
	return "stale; " + reason
}

func weight(k control.Track) string {
	if k.Weight == nil {
		return ""
	}
	return fmt.Sprintf(" (%+d)", *k.Weight)
}

// mood is how the instance preempts.
func mood(i control.Instance) string {
	switch {
	case i.Yielded:
		return ", yielded: it was handed over and does not take it back by itself"
	case !i.Preempt:
		return ", does not preempt"
	}
	return ""
}

func milliseconds(n int64) string { return (time.Duration(n) * time.Millisecond).String() }

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
