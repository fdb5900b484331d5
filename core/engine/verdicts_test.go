package engine

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vipward/vipward/core/health"
	"github.com/vipward/vipward/core/node"
)

func TestVerdictsSurviveARestart(t *testing.T) {
	now := time.Date(2025, 1, 31, 12, 0, 0, 0, time.UTC)
	young := node.Verdict{Check: "server/web/10.0.0.1:80/0", Status: health.Down, Reason: "refused", Weight: -1, Heard: now.Add(-4 * time.Minute)}
	all := []node.Verdict{
		young,
		{Check: "old", Status: health.Up, Heard: now.Add(-5 * time.Minute)},
		{Check: "of tomorrow", Status: health.Up, Heard: now.Add(time.Hour)},
	}
	path := filepath.Join(t.TempDir(), "lb1.verdicts.json")
	log := &bytes.Buffer{}
	v := newVerdicts(path, slog.New(slog.NewTextHandler(log, nil)))
	if got := v.read(now); got != nil || log.Len() > 0 {
		t.Errorf("without a file: %v, log %s", got, log)
	}
	v.keep(all, now)
	if d := cmp.Diff([]node.Verdict{young}, v.read(now)); d != "" {
		t.Errorf("verdicts (-want +got):\n%s", d)
	}
	if left, _ := filepath.Glob(path + ".*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestAFileOfVerdictsThatCannotBeReadIsAWarning(t *testing.T) {
	for name, text := range map[string]string{
		"a torn one":            `{"version":1,"verdicts":[{"check":"a"`,
		"one of a later day":    `{"version":2,"verdicts":[]}`,
		"one that is no object": `[]`,
		"an empty one":          ``,
	} {
		path := filepath.Join(t.TempDir(), "v.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		log := &bytes.Buffer{}
		if got := newVerdicts(path, slog.New(slog.NewTextHandler(log, nil))).read(time.Now()); got != nil {
			t.Errorf("%s: %v, want nothing", name, got)
		}
		if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), path) {
			t.Errorf("%s: log %q", name, log)
		}
	}
}

func TestVerdictsAreWrittenWhenTheyChangeAndNowAndThen(t *testing.T) {
	now := time.Date(2025, 1, 31, 12, 0, 0, 0, time.UTC)
	up := func(heard time.Time) []node.Verdict {
		return []node.Verdict{{Check: "a", Status: health.Up, Heard: heard}}
	}
	v := newVerdicts(filepath.Join(t.TempDir(), "v.json"), slog.New(slog.DiscardHandler))
	if v.due(nil, now) {
		t.Error("nothing is written before there is anything")
	}
	v.keep(up(now), now)
	for _, tt := range []struct {
		name string
		now  []node.Verdict
		at   time.Duration
		want bool
	}{
		{"the same, a second later", up(now.Add(time.Second)), time.Second, false},
		{"the same, after a while", up(now.Add(time.Second)), verdictRefresh, true},
		{"another verdict", []node.Verdict{{Check: "a", Status: health.Down}}, time.Second, true},
		{"another weight", []node.Verdict{{Check: "a", Status: health.Up, Weight: 5}}, time.Second, true},
		{"another check", append(up(now), node.Verdict{Check: "b", Status: health.Up}), time.Second, true},
		{"the last check has gone", nil, time.Second, true},
	} {
		if got := v.due(tt.now, now.Add(tt.at)); got != tt.want {
			t.Errorf("%s: due = %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestAFailureToWriteIsToldOnce(t *testing.T) {
	log := &bytes.Buffer{}
	v := newVerdicts(filepath.Join(t.TempDir(), "missing", "v.json"), slog.New(slog.NewTextHandler(log, nil)))
	v.keep(nil, time.Now())
	v.keep(nil, time.Now())
	if n := strings.Count(log.String(), "level=WARN"); n != 1 {
		t.Errorf("told %d times:\n%s", n, log)
	}
}
