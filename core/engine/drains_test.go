package engine

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vipward/vipward/core/config"
	"github.com/vipward/vipward/core/control"
	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/kernel"
	"github.com/vipward/vipward/core/node"
)

func openDrains(path string) (*drains, *strings.Builder) {
	log := &strings.Builder{}
	return newDrains(path, slog.New(slog.NewTextHandler(log, nil))), log
}

// The interfaces may take their time to be known, and the loop begins after that. Who waits for a lock here hangs until go test ends it.
func TestWhoKeepsStateDoesNotHoldUpTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, log := t.TempDir(), slog.New(slog.DiscardHandler)
		e := &engine{
			loop: newLoop(node.New(node.Config{})), drains: newDrains(filepath.Join(dir, "drains"), log),
			marks: &marks{path: filepath.Join(dir, "marks"), log: log}, memory: newMemory(filepath.Join(dir, "memory"), log),
			verdicts: newVerdicts(filepath.Join(dir, "verdicts"), log),
		}
		e.config.Store(&config.Config{})
		ctx, cancel := context.WithCancel(t.Context())
		var keepers sync.WaitGroup
		for _, keep := range []func(context.Context, *loop) error{
			e.marks.run, e.memory.run, e.verdicts.run, func(ctx context.Context, _ *loop) error { return e.watchDrains(ctx) },
		} {
			keepers.Go(func() { _ = keep(ctx, e.loop) }) // it ends with ctx, and without a fault
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := e.start(time.Now(), nil, nil, nil); got.Drains != nil || got.Marks != nil || len(got.Verdicts) > 0 {
			t.Errorf("without files the node begins with %+v", got)
		}
		cancel()
		keepers.Wait()
	})
}

func TestDrainsSurviveARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lb1.drains.json")
	d, log := openDrains(path)
	if got := d.left; got != nil || log.Len() > 0 {
		t.Errorf("without a file: %v, log %s", got, log)
	}
	if err := d.keep(nil); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a file was written although nothing is drained")
	}
	all := []node.Drained{{Service: "web", Server: netip.MustParseAddrPort("10.0.0.11:80"), Since: time.Now()}}
	for _, want := range [][]node.Drained{all, {}} {
		if err := d.keep(want); err != nil {
			t.Error(err)
		}
		again, log := openDrains(path)
		got := again.left
		if len(got) != len(want) || len(want) > 0 && (got[0].Service != "web" || !got[0].Since.Equal(want[0].Since)) || log.Len() > 0 {
			t.Errorf("after a restart %v, want %v; log %s", got, want, log)
		}
	}
}

func TestDrainThatCannotBeKeptIsAnError(t *testing.T) {
	d, _ := openDrains(filepath.Join(t.TempDir(), "none", "lb1.drains.json"))
	if err := d.keep([]node.Drained{{Service: "web"}}); err == nil || d.last != nil {
		t.Errorf("keep = %v, and it remembers %v", err, d.last)
	}
	path := filepath.Join(t.TempDir(), "lb1.drains.json")
	for _, text := range []string{"{", `{"version": 2}`} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		broken, log := openDrains(path)
		if got := broken.left; got != nil || !strings.Contains(log.String(), "level=ERROR") {
			t.Errorf("of %q %v was read, log %s", text, got, log)
		}
	}
}

func TestDrainIsDoneWhenNothingWouldBreak(t *testing.T) {
	since := time.Unix(1000, 0)
	server := netip.MustParseAddrPort("10.0.0.11:80")
	for _, tt := range []struct {
		name             string
		protocol         desired.Protocol
		marked           desired.Protocol
		drained          bool
		active, inactive uint32
		after            time.Duration
		want             bool
	}{
		{"no connections", desired.TCP, "", true, 0, 0, 2 * time.Second, true},
		{"counted too early", desired.TCP, "", true, 0, 0, 1900 * time.Millisecond, false},
		{"not drained", desired.TCP, "", false, 0, 0, time.Hour, false},
		{"an established connection", desired.TCP, "", true, 1, 0, time.Hour, false},
		{"those of TCP that have ended", desired.TCP, "", true, 0, 5, time.Hour, true},
		{"a flow of UDP", desired.UDP, "", true, 0, 1, time.Hour, false},
		{"a mark that is given to TCP", "", desired.TCP, true, 0, 5, time.Hour, true},
		{"a mark that somebody gives to anything", "", "", true, 0, 5, time.Hour, false},
	} {
		key := desired.ServiceKey{Address: netip.MustParseAddrPort("10.0.0.100:80"), Protocol: tt.protocol}
		v := node.Service{Name: "web", Service: desired.Service{ServiceKey: key}}
		if tt.marked != "" {
			v.Markings = []desired.Marking{{Protocol: tt.marked}}
		}
		traffic := node.Traffic{key: {Servers: map[netip.AddrPort]node.Counts{server: {Active: tt.active, Inactive: tt.inactive}}}}
		row := node.RealServerStatus{Address: desired.Destination{Address: server, Forward: desired.DR}, Drained: tt.drained, Since: since}
		if got := drainState(v, row, traffic, since.Add(tt.after)); got.Done != tt.want || got.ActiveConnections != tt.active {
			t.Errorf("%s: %+v, want done %v", tt.name, got, tt.want)
		}
	}
}

func TestEndOfADrainIsToldOnce(t *testing.T) {
	began := time.Unix(1000, 0)
	e := &engine{started: began, loop: newLoop(node.New(node.Config{}))}
	row := func(last string, since time.Time) node.RealServerStatus {
		return node.RealServerStatus{Address: desired.Destination{Address: netip.MustParseAddrPort("10.0.0." + last + ":80")}, Drained: true, Since: since}
	}
	s := &node.Snapshot{Services: []node.ServiceStatus{{
		Config:      node.Service{Name: "web"},
		RealServers: []node.RealServerStatus{row("11", began.Add(time.Minute)), row("12", began.Add(-time.Minute))},
	}}}
	var told map[node.Drained]bool
	for _, after := range []time.Duration{61, 62, 63} {
		told = e.tellDrained(s, nil, began.Add(after*time.Second), told)
	}
	var got []string
	for len(e.loop.routine) > 0 {
		v := (<-e.loop.routine).(node.Told).Event
		got = append(got, v.Code+" "+v.Subject+" "+v.Service)
	}
	if want := []string{"real_server.drained 10.0.0.11:80 web"}; !reflect.DeepEqual(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
}

func TestDrainIsOnTheDiskBeforeItIsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, r, stop, done := runLoop(t)
		path := filepath.Join(t.TempDir(), "state", "lb1.drains.json")
		d, _ := openDrains(path)
		e := &engine{loop: l, drains: d, services: kernel.NewServices(kernel.ServiceOptions{})}
		req := control.DrainRequest{Service: "web", RealServer: "10.77.0.12:80"}
		time.Sleep(time.Second) // so that it has started
		if _, err := e.Drain(t.Context(), req); err == nil || !strings.Contains(err.Error(), "nothing was changed") {
			t.Errorf("without a directory to write to: %v", err)
		}
		if d := l.node.Drains(); len(d) != 0 {
			t.Errorf("nothing was to change, and %v is drained", d)
		}
		if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		s, err := e.Drain(t.Context(), req)
		if err != nil || !s.Drained || s.Text != "10.77.0.12:80 of web takes no new connections" {
			t.Errorf("drain = %+v, %v", s, err)
		}
		if kept, err := readDrains(path); err != nil || len(kept) != 1 || kept[0].Server.String() != req.RealServer {
			t.Errorf("on the disk is %v, %v", kept, err)
		}
		last := control.DrainRequest{Service: "web", RealServer: "10.77.0.11:80"}
		if _, err := e.Drain(t.Context(), last); !errors.Is(err, node.ErrRefused) {
			t.Errorf("the last server: %v", err)
		}
		if s, err := e.Undrain(t.Context(), req); err != nil || s.Drained {
			t.Errorf("undrain = %+v, %v", s, err)
		}
		if kept, err := readDrains(path); err != nil || len(kept) != 0 {
			t.Errorf("after its end %v is on the disk, %v", kept, err)
		}
		close(stop)
		<-done
		if r.answers != nil {
			t.Errorf("answers %v went to nobody", r.answers)
		}
	})
}
