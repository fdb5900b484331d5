//go:build lab

package kernel

import (
	"context"
	"errors"
	"net/netip"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/vipward/vipward/core/desired"
)

// withLink gives the namespace an interface that messages can be sent from.
func (k *lvs) withLink(name, addr string) {
	k.Helper()
	err := k.ns.Do(func() error {
		la := netlink.NewLinkAttrs()
		la.Name = name
		link := &netlink.Dummy{LinkAttrs: la}
		a, err := netlink.ParseAddr(addr)
		if err != nil {
			return err
		}
		return errors.Join(netlink.LinkAdd(link), netlink.AddrAdd(link, a), netlink.LinkSetUp(link))
	})
	if err != nil {
		k.Fatal(err)
	}
}

// wishSync has a state applied, and gives the daemon that was reported last.
func (k *lvs) wishSync(s *Services, want *desired.State) (last desired.Sync) {
	k.Helper()
	s.Set(want)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := s.Wait(ctx); err != nil {
		k.Fatal(err)
	}
	for {
		select {
		case r := <-k.reports:
			last = r.Sync
			if r.Error+r.SyncError != "" {
				k.Errorf("reported %s %s", r.Error, r.SyncError)
			}
		default:
			return last
		}
	}
}

// daemons are those that the kernel has, as ipvsadm shows them.
func (k *lvs) daemons() string {
	k.Helper()
	var out []byte
	err := k.ns.Do(func() (err error) { out, err = exec.Command("ipvsadm", "-l", "--daemon").Output(); return err })
	if err != nil {
		k.Fatalf("ipvsadm -l --daemon: %v", err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	for i, l := range lines {
		lines[i] = strings.TrimSpace(l)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func TestIPVSSynchronisesConnections(t *testing.T) {
	k := newLVS(t)
	k.withLink("sync0", "10.0.9.1/24")
	owned := filepath.Join(t.TempDir(), "services.json")
	s, stop := k.run(owned)
	full := syncOn(desired.SyncBackup, "sync0")
	full.Group, full.Port, full.TTL, full.MaxLength = netip.MustParseAddr("224.0.0.88"), 8849, 3, 1024
	for _, step := range []struct {
		name string
		sync desired.Sync
		want string
	}{
		{"backup", syncOn(desired.SyncBackup, "sync0"), "backup sync daemon (mcast=sync0, syncid=51, maxlen=1472, group=224.0.0.81, port=8848, ttl=1)"},
		{"master", syncOn(desired.SyncMaster, "sync0"), "master sync daemon (mcast=sync0, syncid=51, maxlen=1472, group=224.0.0.81, port=8848, ttl=1)"},
		{"every field", full, "backup sync daemon (mcast=sync0, syncid=51, maxlen=1024, group=224.0.0.88, port=8849, ttl=3)"},
	} {
		if got := k.wishSync(s, &desired.State{Sync: step.sync}); got != step.sync {
			t.Errorf("%s: %+v is reported to run", step.name, got)
		}
		if got := k.daemons(); got != step.want {
			t.Errorf("%s: ipvsadm shows\n%s\nwant\n%s", step.name, got, step.want)
		}
	}
	stop() // killed
	s, stop = k.run(owned)
	defer stop()
	if got := k.wishSync(s, &desired.State{}); got.Role != "" {
		t.Errorf("after the end %+v is reported to run", got)
	}
	if got := k.daemons(); got != "" {
		t.Errorf("after the end ipvsadm shows\n%s", got)
	}
}

func TestIPVSSynchronisesOverIPv6(t *testing.T) {
	k := newLVS(t)
	k.withLink("sync0", "10.0.9.1/24")
	s, stop := k.run("")
	defer stop()
	six := syncOn(desired.SyncBackup, "sync0")
	six.Group = netip.MustParseAddr("ff02::88")
	if got := k.wishSync(s, &desired.State{Sync: six}); got != six {
		t.Errorf("%+v is reported to run", got)
	}
	if got := k.daemons(); !strings.Contains(got, "group=ff02::88") {
		t.Errorf("ipvsadm shows\n%s", got)
	}
}

func TestIPVSRepairsTheSynchronisation(t *testing.T) {
	k := newLVS(t)
	k.withLink("sync0", "10.0.9.1/24")
	s, stop := k.run("")
	defer stop()
	k.wishSync(s, &desired.State{Sync: syncOn(desired.SyncMaster, "sync0")})
	if err := k.ns.Do(func() error { return exec.Command("ipvsadm", "--stop-daemon", "master").Run() }); err != nil {
		t.Fatal(err)
	}
	select {
	case r := <-k.reports:
		if want := []string{"the synchronisation of connections as master on sync0 had been stopped; it was started again"}; !slices.Equal(r.Repaired, want) {
			t.Errorf("repaired %q, want %q", r.Repaired, want)
		}
	case <-time.After(time.Minute):
		t.Error("nothing was repaired")
	}
}

func TestIPVSSaysWhyItDoesNotSynchronise(t *testing.T) {
	mixed := service("10.0.0.1:80", "10.0.0.11:80")
	mixed.Destinations[0].Address, mixed.Destinations[0].Forward = netip.MustParseAddrPort("[2001:db8::11]:80"), desired.TUN
	for _, tt := range []struct {
		name  string
		state *desired.State
		want  string
	}{
		{"no interface", &desired.State{Sync: syncOn(desired.SyncBackup, "nosuch0")}, "there is no such interface, or it is down"},
		{"mixed families", &desired.State{Sync: syncOn(desired.SyncBackup, "sync0"), Services: []desired.Service{mixed}}, "takes no real server of another family than the service's while it synchronises connections"},
	} {
		k := newLVS(t)
		k.withLink("sync0", "10.0.9.1/24")
		s, stop := k.run("")
		s.Set(tt.state)
		select {
		case r := <-k.reports:
			if got := r.SyncError + r.Failed[mixed.ServiceKey]; !strings.Contains(got, tt.want) {
				t.Errorf("%s: reported %q, want …%s…", tt.name, got, tt.want)
			}
		case <-time.After(time.Minute):
			t.Errorf("%s: nothing was reported", tt.name)
		}
		stop()
		k.close()
	}
}
