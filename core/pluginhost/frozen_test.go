package pluginhost

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/vipward/vipward/core/config"
	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

func TestAPluginOfTheFirstVersionWorks(t *testing.T) {
	w := newWorld(t)
	check := chaosCheck("f")
	check.Kind = "frozen"
	w.Apply(nil, []config.Check{check}, nil)
	w.observed("f", 3)
	if o := w.observations("f")[0]; !plainPass(o) {
		t.Errorf("observation %+v, want a pass", o)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if schema, err := w.Schema(ctx, pluginv1.Kind_CHECKER, "frozen", config.Plugin{}); err != nil || len(schema.GetAttributes()) > 0 {
		t.Errorf("Schema = %v, %v; want an empty one", schema, err)
	}
	if faults, err := w.Validate(ctx, pluginv1.Kind_CHECKER, "frozen", config.Plugin{}, []byte(`{}`)); err != nil || len(faults) > 0 {
		t.Errorf("Validate = %v, %v; want no fault", faults, err)
	}
	old := w.pid("frozen")
	if err := reload(t, w, "frozen"); err != nil {
		t.Error(err)
	}
	w.until("the old process ends", func() bool { return !alive(old) })
	// It has no heartbeat, and is not held to it; it answers pings, and so it stays.
	pid := w.pid("frozen")
	time.Sleep((maxSilence + 1) * pingInterval) // by the host's clock
	w.observed("f", 1)
	if w.pid("frozen") != pid || w.status("frozen").Restarts != 0 {
		t.Errorf("status %+v, want process %d without a restart", w.status("frozen"), pid)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	w.until("another process", func() bool { p := w.pid("frozen"); return p != 0 && p != pid })
	w.observed("f", 1)
}
