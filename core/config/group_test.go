package config

import (
	"strings"
	"testing"
)

func TestFaultsOfSyncGroups(t *testing.T) {
	const none = `track "checker" { name = "local" }`
	for _, c := range []struct{ name, old, new, want string }{
		{"members whose masters differ", "52\n  priority          = { a = 150", "52\n  priority          = { a = 50", `Error: vrrp_sync_group "all" can have no master`},
		{"members that preempt differently", "52\n", "52\n  preempt = false\n", `Warning: the instances of vrrp_sync_group "all" preempt differently`},
		{"members that track different things", "52\n", "52\n  " + none + "\n", `Warning: the instances of vrrp_sync_group "all" track different things`},
		{"a member twice", `"db"]`, `"db", "db"]`, `instances has "db" twice`},
		{"an instance that is not there", `"db"]`, `"bd"]`, `Did you mean "db"?`},
		{"a group of one", `, "db"]`, `]`, "Warning: vrrp_sync_group \"all\" has fewer than two instances"},
		{"a checker that is not there", `name = "local" }` + "\n}", `name = "lokal" }` + "\n}", `no checker "lokal"`},
		{"no map by node without its node", `["web", "db"]`, `{ a = ["web", "db"] }`, `instances leaves out the node "b"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := strings.Replace(pairOfGroups, c.old, c.new, 1)
			if text == pairOfGroups {
				t.Fatalf("%q is not in the text", c.old)
			}
			_, diags := loadText(t, text, Options{Node: "b", Plugins: plugins()})
			if got := strings.Join(strings.Fields(textOf(diags)), " "); !strings.Contains(got, c.want) {
				t.Errorf("Load says %q, want %q", got, c.want)
			}
		})
	}
}
