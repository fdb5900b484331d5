package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/vipward/vipward/core/control"
	"github.com/vipward/vipward/tests/lab/topology"
)

// decision is what a director should explain about a takeover.
type decision struct {
	state, condition string
	row              int
	decision         string
	facts            []control.Fact // of the evidence; the beginning of each value
}

// What a backup decides whose master is heard by heartbeats only, that is cut off itself, whose peer is dead, and whose fencing has failed.
var (
	pathBroken = decision{"HOLD", "HOLD", 2, "hold", []control.Fact{
		{Name: "link", Value: "up"},
		{Name: "references", Value: "answers"},
		{Name: "peer", Value: "lb1 is alive and MASTER"},
		{Name: "vip", Value: "02:77:00:00:00:01 answers for 10.77.0.100"},
	}}
	cutOff = decision{"HOLD", "ISOLATED", 1, "isolated", []control.Fact{
		{Name: "link", Value: "up"}, {Name: "references", Value: "silent"}, {Name: "peer", Value: "lb1 is silent"},
	}}
	peerDead = decision{"MASTER", "", 7, "take", []control.Fact{
		{Name: "references", Value: "answers"}, {Name: "peer", Value: "lb1 is silent"}, {Name: "vip", Value: "nobody"},
	}}
	notFenced = decision{"HOLD", "BLOCKED", 9, "blocked", []control.Fact{
		{Name: "peer", Value: "lb1 is silent"}, {Name: "vip", Value: "nobody"}, {Name: "fencing", Value: "required, failed"},
	}}
)

// explain asks the backup of a pair why it is as it is, while its path is broken, while it is cut off, and when it has taken over.
func explain(t *T) {
	l := newPair(t, edit{"\nvrrp_instance \"web\" {", "\narbitration { references = [\"10.77.0.10\", \"10.77.0.12\"] }\nvrrp_instance \"web\" {"})
	l.up()
	t.Must(l.NoVRRP(topology.LB1, topology.LB2))
	l.lb2.explains(pathBroken)
	t.Must(l.Heal(topology.LB2))
	l.lb2.await("BACKUP", 2*interval+slack)
	t.Must(l.Dark(topology.LB2))
	l.lb2.explains(cutOff)
	t.Must(l.Heal(topology.LB2))
	l.lb2.await("BACKUP", 2*interval+slack)
	l.lb1.kill()
	l.lb2.explains(peerDead)

	if a := l.lb2.command("explain", "wbe"); a.code != 1 || !strings.Contains(a.errors, `did you mean "web"?`) || a.out != "" {
		t.Errorf("explain of what there is not ends with %d and says %q, %q", a.code, a.out, a.errors)
	}
	if a := l.lb1.command("explain", "web"); a.code != 4 || a.out != "" {
		t.Errorf("explain by a daemon that is dead ends with %d and says %q, want 4 and nothing", a.code, a.out)
	}
}

// explains waits until a director says so of its instance, to people and to machines.
func (d *director) explains(want decision) {
	d.await(want.state, down+3*time.Second)
	d.lab.Eventually(fmt.Sprintf("%s explains row %d", d.node.Name, want.row), time.Second, func() error {
		text, object := d.command("explain", "web"), d.command("--json", "explain", "web")
		var e control.Explanation
		if err := json.Unmarshal([]byte(object.out), &e); text.code != 0 || object.code != 0 || err != nil || e.Guard == nil {
			return fmt.Errorf("exit codes %d and %d (%v): %s%s", text.code, object.code, err, text.errors, object.out)
		}
		got := decision{e.State, e.Guard.Condition, e.Guard.Row, e.Guard.Decision, e.Guard.Evidence}
		if e.Kind != "instance" || e.Name != "web" || !got.meets(want) {
			return fmt.Errorf("in JSON %s %s is %+v, want %+v", e.Kind, e.Name, got, want)
		}
		if e.Row == "" || e.Guard.Reason == "" {
			return fmt.Errorf("in JSON it gives no reason: %s", object.out)
		}
		return told(text.out, want, e)
	})
}

// meets tells whether a decision is the one that is wanted, with the evidence that is.
func (d decision) meets(want decision) bool {
	for _, f := range want.facts {
		if !strings.HasPrefix(find(d.facts, f.Name), f.Value) {
			return false
		}
	}
	return d.state == want.state && d.condition == want.condition && d.row == want.row && d.decision == want.decision
}

func find(facts []control.Fact, name string) string {
	for _, f := range facts {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

// told says what is missing in the text for people, of what the JSON says.
func told(text string, want decision, e control.Explanation) error {
	head := "web is " + want.state
	if want.condition != "" && want.condition != want.state {
		head += " (" + want.condition + ")"
	}
	lines := []string{
		head + ": " + e.Reason + "\n",
		fmt.Sprintf("\nthe last decision about a takeover: %s, by row %d: %s\n", want.decision, want.row, e.Row),
	}
	for _, f := range e.Guard.Evidence {
		lines = append(lines, fmt.Sprintf("\n  %-12s %s\n", f.Name, f.Value))
	}
	for _, line := range lines {
		if !strings.Contains(text, line) {
			return fmt.Errorf("the text has no line %q: %s", strings.TrimSpace(line), text)
		}
	}
	return nil
}
