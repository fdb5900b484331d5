package engine

import (
	"testing"

	"github.com/vipward/vipward/core/config"
)

// A reload whose listener cannot be opened has not touched the log, the loop or the listener in force.
func TestReloadThatCannotListenChangesNothing(t *testing.T) {
	j, err := newJournal()
	if err != nil {
		t.Fatal(err)
	}
	log := t.TempDir() + "/log"
	e := &engine{journal: j, listener: newReadOnly()} // no loop: to reach it would panic
	before := j.handler.Load()
	old := &config.Config{}
	next := &config.Config{Listen: "192.0.2.1:1", Log: config.Log{Output: log}}
	if err := e.enforce(t.Context(), old, next); err == nil {
		t.Fatal("an address of no interface was accepted")
	}
	if j.handler.Load() != before || len(e.listener.wake) > 0 {
		t.Error("the log or the listener was replaced")
	}
}
