package engine

import (
	"bytes"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vipward/vipward/core/node"
)

func newMarks(path string) (*marks, *bytes.Buffer) {
	log := &bytes.Buffer{}
	return &marks{path: path, log: slog.New(slog.NewTextHandler(log, nil))}, log
}

func TestMarksSurviveARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lb1.marks.json")
	m, log := newMarks(path)
	if got := m.read(); got != nil || log.Len() > 0 {
		t.Errorf("without a file: %v, log %s", got, log)
	}
	m.keep(nil)
	if _, err := os.Stat(path); err == nil {
		t.Error("a file was written although nothing is signed")
	}
	for _, sequence := range []uint64{1 << 63, 1<<63 + 1} {
		all := []node.Mark{
			{Interface: "eth0", VRID: 51, Source: netip.MustParseAddr("10.0.0.1"), Sequence: sequence},
			{Interface: "eth0", VRID: 51, IPv6: true, Source: netip.MustParseAddr("fe80::1"), Sequence: 7},
		}
		m.keep(all)
		again, _ := newMarks(path)
		if got := again.read(); !slices.Equal(got, all) {
			t.Errorf("marks %v, want %v", got, all)
		}
	}
	if left, _ := filepath.Glob(path + ".*"); len(left) > 0 || log.Len() > 0 {
		t.Errorf("left behind: %v, log %s", left, log)
	}
}

func TestMarksThatDidNotChangeAreNotWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.json")
	m, _ := newMarks(path)
	all := []node.Mark{{Interface: "eth0", VRID: 51, Source: netip.MustParseAddr("10.0.0.1"), Sequence: 1}}
	m.keep(all)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	m.keep(slices.Clone(all))
	if _, err := os.Stat(path); err == nil {
		t.Error("the same marks were written again")
	}
}

func TestAFileOfMarksThatCannotBeReadOrWrittenIsAWarning(t *testing.T) {
	for name, text := range map[string]string{
		"a torn one":         `{"version":1,"marks":[{"interface":"eth0"`,
		"one of a later day": `{"version":2,"marks":[]}`,
		"an empty one":       ``,
	} {
		path := filepath.Join(t.TempDir(), "m.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		m, log := newMarks(path)
		if got := m.read(); got != nil || !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), path) {
			t.Errorf("%s: %v, log %q", name, got, log)
		}
	}
	m, log := newMarks(filepath.Join(t.TempDir(), "none", "m.json"))
	for sequence := range uint64(3) {
		m.keep([]node.Mark{{Interface: "eth0", VRID: 51, Source: netip.MustParseAddr("10.0.0.1"), Sequence: sequence}})
	}
	if n := strings.Count(log.String(), "level=WARN"); n != 1 {
		t.Errorf("a directory that is not there is told %d times, want once: %s", n, log)
	}
}
