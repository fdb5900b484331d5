package config

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/vipward/vipward/core/guard"
)

const fencedPair = `
node "lb1" { address = "10.0.0.1" }
node "lb2" { address = "10.0.0.2" }
fencer "tcp" "ipmi1" {}
fencer "tcp" "ipmi2" {}
fencer "tcp" "pdu" { timeout = "30s" }
`

func TestFencingOfTheOtherNode(t *testing.T) {
	c := mustLoad(t, fencedPair+`
fencing "lb1" {
  mode        = "best_effort"
  auto_rejoin = true
  level { devices = ["ipmi1"] }
}
fencing "lb2" {
  mode    = { lb1 = "required", lb2 = "off" }
  delay   = "2s"
  dry_run = true
  level { devices = ["ipmi2"] }
  level { devices = ["pdu", "ipmi1"] }
}
`, "lb1")
	want := guard.Fencing{
		Mode: guard.FencingRequired, Delay: 2 * time.Second, DryRun: true, Levels: [][]string{{"ipmi2"}, {"pdu", "ipmi1"}},
	}
	if g := c.Node.Guard; len(g.Peers) != 1 || g.Peers[0].Name != "lb2" || !reflect.DeepEqual(g.Peers[0].Fencing, want) || !g.AutoRejoin {
		t.Errorf("Guard = %+v", g)
	}
}

func TestTheFaultsOfFencing(t *testing.T) {
	const other = "fencing \"lb1\" {\n mode = \"required\"\n level { devices = [\"ipmi1\"] }\n}\n" // lines 7 to 10
	for _, tt := range []struct {
		name, text string
		line       int
		want       string
	}{
		{"required without a fencer", other + "fencing \"lb2\" {\n  mode = \"required\"\n}", 12, "A takeover would wait for what nobody can confirm. Add level { devices = [\"NAME\"] }"},
		{"best_effort without a fencer", other + "fencing \"lb2\" {\n  mode = \"best_effort\"\n}", 12, "A takeover would wait 5s for nothing"},
		{"a mode that there is not", "fencing \"lb2\" {\n mode = \"requierd\"\n}", 8, `Did you mean "required"?`},
		{"a node that is not declared", "fencing \"lb3\" {}", 7, `The nodes are lb1 and lb2. Did you mean "lb1"?`},
		{"a fencer that is not declared", "fencing \"lb2\" {\n level { devices = [\"ipmi\"] }\n}", 8, `The fencers are ipmi1, ipmi2 and pdu. Did you mean "ipmi1"?`},
		{"a fencer twice in a level", "fencing \"lb2\" {\n level { devices = [\"pdu\", \"pdu\"] }\n}", 8, `devices has "pdu" twice`},
		{"a level without devices", "fencing \"lb2\" {\n level {}\n}", 8, "a level of fencing has no devices"},
		{"a level that takes too long", "fencing \"lb2\" {\n level { devices = [\"ipmi1\", \"ipmi2\", \"pdu\"] }\n}", 8, "may take 1m10s together"},
		{"a delay out of range", "fencing \"lb2\" {\n delay = \"2m\"\n}", 8, "The delay before a shot is 0s to 1m. This is 2m0s"},
		{"a delay that is no use", other + "fencing \"lb2\" {\n mode = \"best_effort\"\n delay = \"5s\"\n level { devices = [\"pdu\"] }\n}", 13, `node "lb2" is fenced after the takeover only`},
		{"a dry run of what is off", "fencing \"lb2\" {\n dry_run = true\n}", 8, "a dry run of fencing that is off"},
		{"one node only", other, 7, `node "lb1" can be fenced, and "lb2" cannot`},
		{"twice the same node", "fencing \"lb2\" {}\nfencing \"lb2\" {}", 8, `fencing "lb2" is declared twice`},
	} {
		_, diags := loadText(t, fencedPair+tt.text, Options{Node: "lb1", Plugins: plugins()})
		text := strings.Join(strings.Fields(textOf(diags)), " ")
		if len(diags) != 1 || diags[0].Line != tt.line || !strings.Contains(text, tt.want) {
			t.Errorf("%s: want %q in line %d:\n%s", tt.name, tt.want, tt.line, textOf(diags))
		}
	}
}

func TestNobodyFencesItself(t *testing.T) {
	for text, want := range map[string]string{
		"node \"lb1\" { address = \"10.0.0.1\" }\nfencing \"lb1\" {}": `node "lb1" would fence itself`,
		"fencing \"lb1\" {}": "Declare the members of the pair",
	} {
		_, diags := loadText(t, text, Options{Node: "lb1", Plugins: plugins()})
		if got := strings.Join(strings.Fields(textOf(diags)), " "); !strings.Contains(got, want) {
			t.Errorf("%s\nis answered with\n%s\nwant %q", text, got, want)
		}
	}
}
