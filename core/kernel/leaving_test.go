package kernel

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/core/desired"
)

// draining is a service whose servers have time to leave.
func draining(d time.Duration, servers ...string) desired.Service {
	s := service("10.0.0.1:80", servers...)
	s.Drain = d
	return s
}

// connections sets what a server of the first service has.
func (d *director) connections(server string, active, inactive uint32) {
	d.Helper()
	d.by(func() {
		for k := range d.services[0].dests {
			if x := &d.services[0].dests[k]; x.Address.String() == server {
				x.ActiveConnections, x.InactiveConnections = active, inactive
				return
			}
		}
		d.Errorf("there is no %s", server)
	})
}

const (
	quietB  = "update 10.0.0.12:80 DirectRoute weight 0 of TCP 10.0.0.1:80"
	removeB = "remove 10.0.0.12:80 of TCP 10.0.0.1:80"
)

// left gives what was reported of servers that leave and have left since the last call.
func (d *director) leaving() (out string) {
	for _, r := range d.reports {
		for _, l := range r.Left {
			out += fmt.Sprintf("%v left with %d; ", l.Server, l.Open)
		}
	}
	if n := len(d.reports); n > 0 {
		for _, l := range d.reports[n-1].Leaving {
			out += fmt.Sprintf("%v leaves", l.Server)
		}
	}
	d.by(func() { d.reports = nil })
	return out
}

func TestServerLeavesWhenItsConnectionsHaveEnded(t *testing.T) {
	direct(t, &fakeIPVS{}, "", func(d *director) {
		d.wish(draining(5*time.Minute, "10.0.0.11:80", "10.0.0.12:80"))
		d.asked()
		d.wish(draining(5*time.Minute, "10.0.0.11:80"))
		d.expect(quietB)
		if got := d.leaving(); got != "10.0.0.12:80 leaves" {
			t.Errorf("reported %q", got)
		}
		d.after(time.Minute)
		d.connections("10.0.0.12", 0, 4)
		d.after(time.Minute)
		d.expect()
		d.connections("10.0.0.12", 0, 0)
		d.after(1100 * time.Millisecond)
		d.expect(removeB)
		if got := d.leaving(); got != "10.0.0.12:80 left with 0; " {
			t.Errorf("reported %q", got)
		}
		d.after(time.Minute)
		d.expect()
	})
}

func TestServerLeavesWhenItsTimeIsOver(t *testing.T) {
	direct(t, &fakeIPVS{}, "", func(d *director) {
		d.wish(draining(5*time.Minute, "10.0.0.11:80", "10.0.0.12:80"))
		d.asked()
		d.wish(draining(5*time.Minute, "10.0.0.11:80"))
		d.expect(quietB)
		d.after(299 * time.Second)
		d.expect()
		d.after(2 * time.Second)
		d.expect(removeB)
		if got := d.leaving(); got != "10.0.0.12:80 left with 7; " {
			t.Errorf("reported %q", got)
		}
	})
}

func TestServerLeavesAtOnce(t *testing.T) {
	for name, tt := range map[string]struct {
		before, after desired.Service
		open          uint32
		want          []string
	}{
		"without time":        {draining(0, "10.0.0.12:80"), draining(0), 1, []string{removeB}},
		"without connections": {draining(time.Minute, "10.0.0.12:80"), draining(time.Minute), 0, []string{quietB, removeB}},
		"when it is dead": {draining(time.Minute, "10.0.0.12:80"), func() desired.Service {
			s := draining(time.Minute)
			s.Gone = []netip.AddrPort{netip.MustParseAddrPort("10.0.0.12:80")}
			return s
		}(), 1, []string{removeB}},
	} {
		direct(t, &fakeIPVS{}, "", func(d *director) {
			d.wish(tt.before)
			d.connections("10.0.0.12", tt.open, 0)
			d.asked()
			d.wish(tt.after)
			if got := fmt.Sprint(d.asked()); got != fmt.Sprint(tt.want) {
				t.Errorf("%s: %s, want %q", name, got, tt.want)
			}
		})
	}
}

func TestServerThatComesBackBeforeItHasLeftIsAsBefore(t *testing.T) {
	direct(t, &fakeIPVS{}, "", func(d *director) {
		d.wish(draining(time.Minute, "10.0.0.12:80"))
		d.asked()
		d.wish(draining(time.Minute))
		d.wish(draining(time.Minute, "10.0.0.12:80"))
		d.expect(quietB, "update 10.0.0.12:80 DirectRoute weight 1 of TCP 10.0.0.1:80")
		d.after(50 * time.Second)
		d.wish(draining(time.Minute)) // its time begins anew
		d.expect(quietB)
		d.after(50 * time.Second)
		d.expect()
	})
}

func TestServerThatSomebodyElseAddsKeepsItsConnections(t *testing.T) {
	direct(t, &fakeIPVS{}, "", func(d *director) {
		want := draining(time.Minute, "10.0.0.11:80")
		d.wish(want)
		d.asked()
		s, err := writeService(want)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.changeServer(serverChange{desired.AddDestination, s, writeDestination(draining(0, "10.0.0.12:80").Destinations[0])}); err != nil {
			t.Fatal(err)
		}
		d.asked()
		d.after(1100 * time.Millisecond)
		d.expect(quietB)
		d.reported("the real server 10.0.0.12:80 of tcp 10.0.0.1:80 had been added by somebody else; it gets no new connections, and is removed when it has none")
	})
}

func TestFailureIsThatOfItsService(t *testing.T) {
	table := &fakeIPVS{refuse: map[string]error{"create TCP 10.0.0.1:80": unix.ENOENT}}
	direct(t, table, "", func(d *director) {
		other := service("10.0.0.2:80", "10.0.0.11:80")
		d.wish(service("10.0.0.1:80", "10.0.0.11:80", "10.0.0.12:80"), other)
		d.expect(createWeb, "create TCP 10.0.0.2:80 wrr timeout 0 flags 0", "create 10.0.0.11:80 DirectRoute weight 1 of TCP 10.0.0.2:80")
		d.reported("add service tcp 10.0.0.1:80: the kernel has no scheduler wrr: run modprobe ip_vs_wrr (no such file or directory)")
		d.by(func() { table.refuse = nil })
		d.after(6 * time.Second)
		d.expect(createWeb, createA, createB)
		d.reported("")
	})
}

const (
	quietA     = "update 10.0.0.11:80 DirectRoute weight 0 of TCP 10.0.0.1:80"
	removeA    = "remove 10.0.0.11:80 of TCP 10.0.0.1:80"
	removeWeb1 = "remove TCP 10.0.0.1:80"
)

func TestServiceLeavesWithTheLastOfItsServers(t *testing.T) {
	direct(t, &fakeIPVS{}, "", func(d *director) {
		d.wish(draining(5*time.Minute, "10.0.0.11:80", "10.0.0.12:80"))
		d.asked()
		d.wish()
		d.expect(quietA, quietB)
		d.leaving()
		d.connections("10.0.0.12", 0, 0)
		d.after(1100 * time.Millisecond)
		d.expect(removeB)
		if got := d.leaving(); got != "10.0.0.12:80 left with 0; 10.0.0.11:80 leaves" {
			t.Errorf("reported %q", got)
		}
		d.after(4 * time.Minute)
		d.expect()
		d.after(time.Minute) // its time is over
		d.expect(removeA, removeWeb1)
		if got := d.leaving(); got != "10.0.0.11:80 left with 7; " {
			t.Errorf("reported %q", got)
		}
		d.after(time.Minute)
		d.expect()
	})
}

func TestServiceThatComesBackBeforeItHasLeftIsAsBefore(t *testing.T) {
	direct(t, &fakeIPVS{}, "", func(d *director) {
		d.wish(draining(time.Minute, "10.0.0.11:80"))
		d.asked()
		d.wish()
		d.wish(draining(time.Minute, "10.0.0.11:80"))
		d.expect(quietA, "update 10.0.0.11:80 DirectRoute weight 1 of TCP 10.0.0.1:80")
		d.after(5 * time.Minute)
		d.expect()
	})
}

func TestServiceLeavesOverARestart(t *testing.T) {
	table, path := &fakeIPVS{}, filepath.Join(t.TempDir(), "services.json")
	direct(t, table, path, func(d *director) {
		d.wish(draining(time.Minute, "10.0.0.11:80"))
		d.wish()
	})
	table.asked()
	direct(t, table, path, func(d *director) {
		d.wish()
		d.expect()
		d.connections("10.0.0.11", 0, 0)
		d.after(1100 * time.Millisecond)
		d.expect(removeA, removeWeb1)
	})
}

// A restart gives those that leave no more time.
func TestServerLeavesInItsTimeOverARestart(t *testing.T) {
	table, path := &fakeIPVS{}, filepath.Join(t.TempDir(), "services.json")
	direct(t, table, path, func(d *director) {
		d.wish(draining(5*time.Minute, "10.0.0.11:80", "10.0.0.12:80"))
		d.wish(draining(5*time.Minute, "10.0.0.11:80"))
	})
	table.asked()
	direct(t, table, path, func(d *director) { // the clock of each begins at the same instant
		d.after(4 * time.Minute)
		d.wish(draining(5*time.Minute, "10.0.0.11:80"))
		d.after(59 * time.Second)
		d.expect()
		d.after(2 * time.Second)
		d.expect(removeB)
		if got := d.leaving(); got != "10.0.0.12:80 left with 7; " {
			t.Errorf("reported %q", got)
		}
	})
}

func TestServiceLeavesAtOnce(t *testing.T) {
	vip := []netip.Addr{netip.MustParseAddr("10.0.0.1")}
	for name, tt := range map[string]struct {
		drain time.Duration
		after desired.State
		want  []string
	}{
		"without time":           {0, desired.State{VIPs: vip}, []string{removeWeb1}},
		"when its VIP goes":      {time.Minute, desired.State{}, []string{removeWeb1}},
		"when the daemon ends":   {time.Minute, desired.State{VIPs: vip, Last: true}, []string{removeWeb1}},
		"with its VIP it has to": {time.Minute, desired.State{VIPs: vip}, []string{quietA}},
	} {
		direct(t, &fakeIPVS{}, "", func(d *director) {
			d.Set(&desired.State{Services: []desired.Service{draining(tt.drain, "10.0.0.11:80")}, VIPs: vip})
			synctest.Wait()
			d.asked()
			d.Set(&tt.after)
			synctest.Wait()
			if got := fmt.Sprint(d.asked()); got != fmt.Sprint(tt.want) {
				t.Errorf("%s: %s, want %q", name, got, tt.want)
			}
		})
	}
}
