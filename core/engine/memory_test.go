package engine

import (
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/vipward/vipward/core/node"
)

func TestTheMemoryOutlivesTheDaemon(t *testing.T) {
	path := filepath.Join(t.TempDir(), "memory.json")
	m := &memory{path: path, log: slog.New(slog.DiscardHandler)}
	if got := m.read(); got.Maintenance.On() || got.Fenced != nil {
		t.Errorf("without a file: %+v", got)
	}
	want := node.Memory{Maintenance: node.Maintenance{Since: time.Unix(1000, 0).UTC(), Reason: "a new disk"}, Fenced: []string{"lb2"}}
	want.Terms = []node.Term{{Interface: "eth0", VRID: 51, Epoch: 7}, {Interface: "eth0", VRID: 51, IPv6: true, Epoch: 1 << 63}}
	if err := m.keep(want); err != nil {
		t.Fatal(err)
	}
	next := &memory{path: path, log: m.log}
	newer := want
	newer.Terms = []node.Term{{Interface: "eth0", VRID: 51, Epoch: 8}, want.Terms[1]}
	if err := m.keep(newer); err != nil { // a change of the epoch alone is one
		t.Fatal(err)
	}
	want = newer
	if got := next.read(); !reflect.DeepEqual(got, want) {
		t.Errorf("read %+v, want %+v", got, want)
	}
	if err := next.keep(node.Memory{}); err != nil {
		t.Fatal(err)
	}
	if got := m.read(); got.Maintenance.On() || len(got.Fenced) > 0 {
		t.Errorf("after the end of it: %+v", got)
	}
}

func TestAMemoryThatCannotBeReadIsTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "memory.json")
	for text, want := range map[string]string{`{"version":2}`: "its version is 2", `{`: "unexpected EOF"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var log strings.Builder
		m := &memory{path: path, log: slog.New(slog.NewTextHandler(&log, nil))}
		if got := m.read(); got.Maintenance.On() || !strings.Contains(log.String(), want) {
			t.Errorf("%s: read %+v, log %s", text, got, log.String())
		}
	}
}

func TestAMemoryThatCannotBeWrittenIsAnError(t *testing.T) {
	m := &memory{path: filepath.Join(t.TempDir(), "no", "such", "folder"), log: slog.New(slog.DiscardHandler)}
	if err := m.keep(node.Memory{Fenced: []string{"lb2"}}); err == nil {
		t.Error("no error")
	}
}

func TestATakeoverIsWrittenAtOnce(t *testing.T) {
	m := newMemory(filepath.Join(t.TempDir(), "memory.json"), slog.New(slog.DiscardHandler))
	m.Hurry()
	m.Hurry() // never blocks
	select {
	case <-m.soon:
	default:
		t.Error("nothing is to be written")
	}
}
