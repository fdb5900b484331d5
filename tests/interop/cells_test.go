package interop

import (
	"regexp"
	"strings"
	"testing"
)

// The owners of the cells are written by hand; here they follow from the rules of RFC 9568 sections 6.4.2 and 6.4.3.
func TestTheOwnersAreThoseOfTheRules(t *testing.T) {
	for _, c := range cells {
		priority := map[side]int{us: c.ours, them: c.theirs}
		joined := c.first
		if s := c.first.other(); priority[s] > priority[c.first] && c.patient != s {
			joined = s
		}
		if c.joined != joined {
			t.Errorf("%s: once both are up, %q is owner, the rules say %q", c.name, c.joined, joined)
		}
		after := side("")
		switch {
		case c.event == nothing:
		case c.event == killed && c.at == them && !c.unasked: // their kernel answers for the VIP, and we ask
			after = nobody
		case c.at == joined:
			after = joined.other()
		default:
			after = joined
		}
		if c.after != after {
			t.Errorf("%s: afterwards %q is owner, the rules say %q", c.name, c.after, after)
		}
		healed := side("")
		if c.event == dark { // by then both are master
			switch {
			case c.ours != c.theirs && c.ours > c.theirs, c.ours == c.theirs && c.weAreHigher:
				healed = us
			default:
				healed = them
			}
		}
		if c.healed != healed {
			t.Errorf("%s: healed, %q is owner, the rules say %q", c.name, c.healed, healed)
		}
	}
}

func TestEveryLineIsPlayedOnceOrSaysWhyNot(t *testing.T) {
	seen := map[string]bool{}
	played, missing := plan(regexp.MustCompile(""))
	for _, g := range played {
		if seen[g.Name] {
			t.Errorf("%q is there twice", g.Name)
		}
		seen[g.Name] = true
	}
	unlike := 0 // cells that the oracle does not play, on each of its wires
	for _, w := range wires {
		for _, c := range cells {
			if p := peers[len(peers)-1]; p.oracle && p.cannot(w) == "" && c.unlike {
				unlike++
			}
		}
	}
	if got, want := len(played)+unlike+len(missing)*len(cells), len(wires)*len(peers)*len(cells); got != want {
		t.Errorf("%d cells are played or named as impossible, want all %d", got, want)
	}
	for _, want := range []string{"v2 ipv4 multicast pass", "v2 ipv6 unicast", "v3 ipv4 unicast", "v3 ipv6 unicast", "v3 ipv6 multicast vmac"} {
		if !strings.Contains(strings.Join(missing, "\n"), want) && !seen[line(peers[0], wireOf(want), cells[0].name)] {
			t.Errorf("nobody plays %s", want)
		}
	}
}

func wireOf(name string) wire {
	for _, w := range wires {
		if w.String() == name {
			return w
		}
	}
	return wire{}
}
