package pluginhost

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vipward/vipward/core/config"
	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// outlet is a fencer of commands, whose outlet is a folder: the file power, and files for its faults.
func outlet(t *testing.T, name string) (dir string, f config.Fencer) {
	t.Helper()
	dir = t.TempDir()
	path := filepath.Join(dir, "outlet")
	body := `#!/bin/sh
dir=` + dir + `
echo "begin $VIPWARD_ACTION" >>$dir/calls
[ ! -e $dir/hang ] || exec sleep 60
case $VIPWARD_ACTION in
off | on) echo $VIPWARD_ACTION >$dir/power; code=0 ;;
status) code=0; [ "$(cat $dir/power)" = on ] || code=2 ;;
esac
echo "end $VIPWARD_ACTION" >>$dir/calls
exit $code
`
	for file, text := range map[string]string{"outlet": body, "power": "on\n"} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := json.Marshal(map[string]any{"off": []string{path}, "on": []string{path}, "status": []string{path}, "poll": "10ms"})
	if err != nil {
		t.Fatal(err)
	}
	return dir, config.Fencer{Kind: "exec", Name: name, Config: raw, Timeout: 30 * time.Second}
}

// fencing is a host with some fencers in use.
func fencing(t *testing.T, fencers ...config.Fencer) *Host {
	t.Helper()
	h := New(Options{Dirs: []string{plugins}})
	t.Cleanup(h.Close)
	h.Apply(nil, nil, nil, Uses(&config.Config{Fencers: fencers})...)
	return h
}

func TestAFencerIsAskedThroughItsPlugin(t *testing.T) {
	dir, f := outlet(t, "power")
	h := fencing(t, f)
	call := func(a Action, dry bool) string {
		r := h.Fence(t.Context(), FenceCall{Fencer: f, Action: a, Node: "lb2", DryRun: dry})
		return fmt.Sprintf("%s: %s", r.Verdict, r.Evidence)
	}
	for _, tt := range []struct {
		action Action
		dry    bool
		want   string
	}{
		{FenceStatus, false, "failed: lb2 reads on"},
		{FenceOff, true, "unknown: dry run: lb2 reads on, and would be switched off"},
		{FenceOff, false, "confirmed: lb2 reads off"},
		{FenceStatus, true, "confirmed: lb2 reads off"},
		{FenceOn, false, "confirmed: lb2 reads on"},
		{"explode", false, `unknown: fencer power: there is no action "explode"`},
	} {
		if got := call(tt.action, tt.dry); got != tt.want {
			t.Errorf("%s (dry run: %v) = %s, want %s", tt.action, tt.dry, got, tt.want)
		}
	}
	if calls, _ := os.ReadFile(filepath.Join(dir, "calls")); strings.Count(string(calls), "begin off") != 1 {
		t.Errorf("the calls are\n%s", calls)
	}
	all := h.Status()
	if len(all) != 1 || all[0].Name != "exec" || all[0].Kind != "fencer" || all[0].State != Running {
		t.Errorf("Status = %+v, want the plugin as a fencer that runs", all)
	}
}

func TestAFencerThatHangsIsUnknownAtItsTimeout(t *testing.T) {
	dir, f := outlet(t, "power")
	h := fencing(t, f)
	h.Fence(t.Context(), FenceCall{Fencer: f, Action: FenceStatus, Node: "lb2"}) // the plugin runs now
	if err := os.WriteFile(filepath.Join(dir, "hang"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f.Timeout = 3 * time.Second
	if r := h.Fence(t.Context(), FenceCall{Fencer: f, Action: FenceOff, Node: "lb2"}); r.Verdict != Unknown || r.Evidence == "" {
		t.Errorf("Fence = %+v, want unknown with a reason", r)
	}
}

func TestAFencerThatIsNotInUseIsUnknown(t *testing.T) {
	_, f := outlet(t, "power")
	h := fencing(t)
	if r := h.Fence(t.Context(), FenceCall{Fencer: f, Action: FenceOff, Node: "lb2"}); r != (Fenced{Unknown, "fencer power: plugin exec is not in use"}) {
		t.Errorf("Fence = %+v", r)
	}
}

func TestCallsAboutOneNodeComeOneAfterTheOther(t *testing.T) {
	dir, first := outlet(t, "first")
	_, second := outlet(t, "second")
	second.Config = json.RawMessage(strings.Replace(string(first.Config), `"10ms"`, `"11ms"`, 1)) // the same outlet, and another fencer
	h := fencing(t, first, second)
	var calls sync.WaitGroup
	for i := range 6 {
		f := first
		if i%2 == 1 {
			f = second
		}
		calls.Go(func() {
			if r := h.Fence(t.Context(), FenceCall{Fencer: f, Action: FenceOff, Node: "lb2"}); r.Verdict != Confirmed {
				t.Errorf("Fence = %+v", r)
			}
		})
	}
	calls.Wait()
	text, err := os.ReadFile(filepath.Join(dir, "calls"))
	if err != nil {
		t.Fatal(err)
	}
	want := ""
	for line := range strings.Lines(string(text)) {
		verb, action, _ := strings.Cut(strings.TrimSpace(line), " ")
		if want != "" && (verb != "end" || action != want) {
			t.Fatalf("%s began before %s ended:\n%s", action, want, text)
		}
		want = map[string]string{"begin": action}[verb]
	}
}

func TestALookGivesWayToASwitch(t *testing.T) {
	dir, f := outlet(t, "power")
	h := fencing(t, f)
	hang := filepath.Join(dir, "hang")
	if err := os.WriteFile(hang, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	looked := make(chan Fenced, 1)
	go func() { looked <- h.Fence(t.Context(), FenceCall{Fencer: f, Action: FenceStatus, Node: "lb2"}) }()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		if text, _ := os.ReadFile(filepath.Join(dir, "calls")); len(text) > 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the status was not asked for")
		}
	}
	if err := os.Remove(hang); err != nil {
		t.Fatal(err)
	}
	if r := h.Fence(t.Context(), FenceCall{Fencer: f, Action: FenceOff, Node: "lb2"}); r.Verdict != Confirmed {
		t.Errorf("the switch is %+v, want confirmed: a look must not hold it up", r)
	}
	if r := <-looked; r != (Fenced{Unknown, "fencer power: called off"}) {
		t.Errorf("the look is %+v, want that it was called off", r)
	}
}

func TestATurnIsGivenUpAtTheDeadline(t *testing.T) {
	var turns turns
	done, err := turns.turn(t.Context(), "a", nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := turns.turn(ctx, "a", nil); err == nil {
		t.Error("two calls have the same turn")
	}
	if other, err := turns.turn(t.Context(), "b", nil); err != nil {
		t.Errorf("another key waits: %v", err)
	} else {
		other()
	}
	done()
	if again, err := turns.turn(t.Context(), "a", nil); err != nil {
		t.Errorf("a turn that is over is not free: %v", err)
	} else {
		again()
	}
}

func TestAnAnswerOfAPluginThatIsNotCareful(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer *pluginv1.FenceResponse
		call   FenceCall
		want   Fenced
	}{
		{"confirmed", &pluginv1.FenceResponse{Verdict: pluginv1.FenceResponse_CONFIRMED, Evidence: "reads off"}, FenceCall{Action: FenceOff}, Fenced{Confirmed, "reads off"}},
		{"without evidence", &pluginv1.FenceResponse{Verdict: pluginv1.FenceResponse_CONFIRMED, Evidence: " "}, FenceCall{Action: FenceOff}, Fenced{Unknown, "confirmed without evidence"}},
		{"in a dry run", &pluginv1.FenceResponse{Verdict: pluginv1.FenceResponse_CONFIRMED, Evidence: "x"}, FenceCall{Action: FenceOff, DryRun: true}, Fenced{Unknown, "dry run: x"}},
		{"failed", &pluginv1.FenceResponse{Verdict: pluginv1.FenceResponse_FAILED, Evidence: "reads on"}, FenceCall{Action: FenceOff}, Fenced{Failed, "reads on"}},
		{"a verdict of a later version", &pluginv1.FenceResponse{Verdict: 9, Evidence: "maybe"}, FenceCall{Action: FenceOff}, Fenced{Unknown, "maybe"}},
	} {
		if got := fenced(tt.answer, tt.call); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}
