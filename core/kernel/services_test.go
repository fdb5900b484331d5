package kernel

import (
	"context"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cloudflare/ipvs"
	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/node"
)

// director is an applier of services at work on a fake table, in virtual time.
type director struct {
	*testing.T
	*fakeIPVS
	*Services
	reports []node.ServicesApplied
}

func direct(t *testing.T, table *fakeIPVS, owned string, f func(d *director)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d := &director{T: t, fakeIPVS: table}
		d.Services = NewServices(ServiceOptions{
			Logger: quiet(), Owned: owned,
			Report: func(a node.ServicesApplied) { d.by(func() { d.reports = append(d.reports, a) }) },
		})
		d.Services.dial, d.Services.look = table.dial, func() func(netip.Addr) (in, back string) { return noWays }
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- d.Services.Run(ctx) }()
		f(d)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func (d *director) wish(want ...desired.Service) {
	d.Set(&desired.State{Services: want})
	synctest.Wait()
}

func (d *director) after(t time.Duration) {
	time.Sleep(t)
	synctest.Wait()
}

// expect compares the changes since the last call.
func (d *director) expect(want ...string) {
	d.Helper()
	if got := d.asked(); !slices.Equal(got, want) {
		d.Errorf("the kernel was asked:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// reported compares the reports since the last call, each as its error and what was repaired.
func (d *director) reported(want ...string) {
	d.Helper()
	var got []string
	for _, r := range d.reports {
		got = append(got, r.Error+r.SyncError+strings.Join(append(slices.Sorted(maps.Values(r.Failed)), r.Repaired...), "; "))
	}
	d.by(func() { d.reports = nil })
	if !slices.Equal(got, want) {
		d.Errorf("reported:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func service(addr string, servers ...string) desired.Service {
	s := desired.Service{
		ServiceKey: desired.ServiceKey{Address: netip.MustParseAddrPort(addr), Protocol: desired.TCP}, Scheduler: "wrr",
	}
	for _, server := range servers {
		s.Destinations = append(s.Destinations, desired.Destination{
			Address: netip.MustParseAddrPort(server), Forward: desired.DR, Weight: 1,
		})
	}
	return s
}

const (
	createWeb = "create TCP 10.0.0.1:80 wrr timeout 0 flags 0"
	createA   = "create 10.0.0.11:80 DirectRoute weight 1 of TCP 10.0.0.1:80"
	createB   = "create 10.0.0.12:80 DirectRoute weight 1 of TCP 10.0.0.1:80"
)

func TestServicesAreMadeChangedAndRemoved(t *testing.T) {
	direct(t, &fakeIPVS{}, "", func(d *director) {
		d.wish(service("10.0.0.1:80", "10.0.0.11:80", "10.0.0.12:80"))
		d.expect(createWeb, createA, createB)
		d.wish(service("10.0.0.1:80", "10.0.0.11:80", "10.0.0.12:80"))
		d.expect() // the same wish again asks for nothing
		s := service("10.0.0.1:80", "10.0.0.12:80", "10.0.0.13:80")
		s.Persistence, s.Granularity = 50*time.Second, 24
		s.Destinations[0].Weight = 0
		d.wish(s)
		d.expect(
			"update TCP 10.0.0.1:80 wrr timeout 50 flags 1",
			"update 10.0.0.12:80 DirectRoute weight 0 of TCP 10.0.0.1:80",
			"create 10.0.0.13:80 DirectRoute weight 1 of TCP 10.0.0.1:80",
			"remove 10.0.0.11:80 of TCP 10.0.0.1:80",
		)
		d.after(time.Minute)
		d.expect()
		d.wish()
		d.expect("remove TCP 10.0.0.1:80")
		d.reported()
	})
}

func TestServicesOfOthersAreLeftAlone(t *testing.T) {
	table := &fakeIPVS{services: []fakeService{
		{Service: ipvs.Service{FWMark: 7, Family: ipvs.INET, Scheduler: "rr"}},
		{Service: ipvs.Service{Address: netip.MustParseAddr("10.0.0.9"), Port: 80, Protocol: ipvs.TCP, Scheduler: "rr"}},
	}}
	direct(t, table, "", func(d *director) {
		d.wish(service("10.0.0.1:80"))
		d.wish()
		d.expect(createWeb, "remove TCP 10.0.0.1:80")
	})
}

func TestServicesThatAreThereAreTakenOver(t *testing.T) {
	web, err := writeService(service("10.0.0.1:80"))
	if err != nil {
		t.Fatal(err)
	}
	web.Flags |= ipvs.ServiceSchedulerOpt3 // no wish has it
	a := writeDestination(service("10.0.0.1:80", "10.0.0.11:80").Destinations[0])
	table := &fakeIPVS{services: []fakeService{{Service: web, dests: []ipvs.DestinationExtended{{Destination: a}}}}}
	direct(t, table, "", func(d *director) {
		d.wish(service("10.0.0.1:80", "10.0.0.11:80", "10.0.0.12:80"))
		d.expect("update TCP 10.0.0.1:80 wrr timeout 0 flags 0", createB)
		d.reported() // what was there before is not drift
	})
}

func TestServicesOfFormerRunAreRemovedByTheRecord(t *testing.T) {
	path := filepath.Join(t.TempDir(), "services.json")
	table := &fakeIPVS{}
	direct(t, table, path, func(d *director) {
		d.wish(service("10.0.0.1:80", "10.0.0.11:80"), service("10.0.0.2:80"))
	})
	table.asked()
	direct(t, table, path, func(d *director) {
		d.after(time.Minute)
		d.expect() // nothing is touched before the first wish
		d.wish(service("10.0.0.1:80", "10.0.0.11:80"))
		d.expect("remove TCP 10.0.0.2:80")
	})
	o, err := readOwned(path)
	if err != nil || len(o.keys) != 1 || !owns(o, "10.0.0.1:80") {
		t.Errorf("the record holds %v, %v, want the one service", o.keys, err)
	}
}

func TestServiceIsRecordedBeforeItIsMade(t *testing.T) {
	path := filepath.Join(t.TempDir(), "services.json")
	table := &fakeIPVS{refuse: map[string]error{"create": unix.ENOMEM}}
	direct(t, table, path, func(d *director) { d.wish(service("10.0.0.1:80")) })
	o, err := readOwned(path)
	if err != nil || !owns(o, "10.0.0.1:80") {
		t.Errorf("the record holds %v, %v", o.keys, err)
	}
}

func TestBrokenRecordRemovesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "services.json")
	if err := os.WriteFile(path, []byte(`{"version":1,"services":[{`), 0o600); err != nil {
		t.Fatal(err)
	}
	direct(t, &fakeIPVS{}, path, func(d *director) {
		d.wish(service("10.0.0.1:80"))
		d.expect(createWeb)
	})
}

func TestUnwritableRecordDoesNotStopTheService(t *testing.T) {
	direct(t, &fakeIPVS{}, "/proc/no/such/directory/services.json", func(d *director) {
		d.wish(service("10.0.0.1:80"))
		d.expect(createWeb)
	})
}

func TestServicesPutsBackWhatSomebodyChanged(t *testing.T) {
	direct(t, &fakeIPVS{}, "", func(d *director) {
		d.wish(service("10.0.0.1:80", "10.0.0.11:80", "10.0.0.12:80"), service("10.0.0.2:80"))
		d.by(func() {
			d.services[0].Scheduler = "rr"
			d.services[0].dests[0].Weight = 9
			d.services[0].dests[1].Port = 81
			d.services = d.services[:1]
		})
		d.after(pollEvery)
		d.reported(
			"the service tcp 10.0.0.1:80 had been changed; it was changed back; " +
				"the real server 10.0.0.11:80 of tcp 10.0.0.1:80 had been changed; it was changed back; " +
				"the real server 10.0.0.12:80 of tcp 10.0.0.1:80 had been removed; it was put back; " +
				"the service tcp 10.0.0.2:80 had been removed; it was put back; " +
				"the real server 10.0.0.12:81 of tcp 10.0.0.1:80 had been added by somebody else; it was removed")
		d.after(pollEvery)
		d.reported()
	})
}

func TestServicesLooksAtOnceWhenAskedTo(t *testing.T) {
	direct(t, &fakeIPVS{}, "", func(d *director) {
		d.wish(service("10.0.0.1:80"))
		d.by(func() { d.services = nil })
		d.Drift()
		synctest.Wait()
		d.expect(createWeb, createWeb)
	})
}

func TestKernelWithoutIPVSIsReportedOnceAndTriedAgain(t *testing.T) {
	direct(t, &fakeIPVS{absent: true}, "", func(d *director) {
		d.wish()
		d.reported() // who wishes for nothing needs no IPVS
		d.wish(service("10.0.0.1:80"))
		d.after(time.Minute)
		d.reported("list the services: the kernel has no IPVS: run modprobe ip_vs")
		d.by(func() { d.absent = false })
		d.after(servicesRetry)
		d.expect(createWeb)
		d.reported("") // all is well
	})
}

func TestFailedChangeDoesNotStopTheOthers(t *testing.T) {
	table := &fakeIPVS{refuse: map[string]error{createA: unix.ENOMEM}}
	direct(t, table, "", func(d *director) {
		d.wish(service("10.0.0.1:80", "10.0.0.11:80", "10.0.0.12:80"))
		d.expect(createWeb, createA, createB)
		d.reported("add destination 10.0.0.11:80 of tcp 10.0.0.1:80: cannot allocate memory")
		d.by(func() { d.refuse = nil })
		d.after(servicesRetry)
		d.expect(createA)
		d.reported("")
	})
}

func TestAChangeThatCannotBeWrittenDoesNotStopTheOthers(t *testing.T) {
	table := &fakeIPVS{}
	b := &backend{dial: table.dial}
	good, bad := service("10.0.0.1:80", "10.0.0.11:80"), service("10.0.0.2:80", "10.0.0.11:80")
	bad.Protocol = "telex"
	if errs := b.apply([]desired.ServiceOp{{Action: desired.AddService, Service: good}}); errs[0] != nil {
		t.Fatal(errs[0])
	}
	errs := b.apply([]desired.ServiceOp{
		{Action: desired.AddDestination, Service: bad, Destination: bad.Destinations[0]},
		{Action: desired.AddDestination, Service: good, Destination: good.Destinations[0]},
	})
	if errs[0] == nil || !strings.Contains(errs[0].Error(), "telex") || errs[1] != nil {
		t.Errorf("errors = %v, want one for the first change alone", errs)
	}
	if got, want := table.asked(), []string{createWeb, createA}; !slices.Equal(got, want) {
		t.Errorf("the kernel was asked %q, want %q", got, want)
	}
}

func TestCallThatHangsIsEndedAndMadeAnew(t *testing.T) {
	direct(t, &fakeIPVS{hang: true}, "", func(d *director) {
		d.wish(service("10.0.0.1:80"))
		d.after(ipvsTimeout)
		if len(d.reports) != 1 || !strings.Contains(d.reports[0].Error, "IPVS did not answer within 5s") {
			t.Errorf("reported %+v", d.reports)
		}
		d.by(func() { d.hang = false })
		d.after(servicesRetry)
		d.expect(createWeb)
		if d.opened != 2 {
			t.Errorf("the table was opened %d times, want 2", d.opened)
		}
	})
}

func TestStatsCountsConnections(t *testing.T) {
	direct(t, &fakeIPVS{}, "", func(d *director) {
		s := service("10.0.0.1:80", "10.0.0.11:80")
		d.wish(s)
		d.after(pollEvery)
		got := d.Stats()[s.ServiceKey]
		want := node.Counts{Active: 3, Inactive: 4, InBytes: 1 << 40}
		if server := got.Servers[s.Destinations[0].Address]; server != want {
			t.Errorf("Stats of the real server = %+v, want %+v", server, want)
		}
		if want = (node.Counts{Active: 3, Inactive: 4, Connections: 1 << 33, InByteRate: 5}); got.Counts != want {
			t.Errorf("Stats of the service = %+v, want %+v", got.Counts, want)
		}
		d.wish()
		d.after(pollEvery)
		if got := d.Stats(); len(got) != 0 {
			t.Errorf("Stats without services = %v", got)
		}
	})
}

// Every service that can be wished for reads back from the table as it was written.
func TestServiceSurvivesTheTable(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*desired.Service)
	}{
		{"a plain one", func(*desired.Service) {}},
		{"UDP", func(s *desired.Service) { s.Protocol = desired.UDP }},
		{"SCTP", func(s *desired.Service) { s.Protocol = desired.SCTP }},
		{"a firewall mark", func(s *desired.Service) { s.ServiceKey = desired.Marked(7, false) }},
		{"a firewall mark over IPv6", func(s *desired.Service) { s.ServiceKey = desired.Marked(1<<32-1, true) }},
		{"flags", func(s *desired.Service) { s.Flags = desired.OnePacket | desired.Fallback | desired.SourcePort }},
		{"persistence for one client", func(s *desired.Service) { s.Persistence, s.Granularity = time.Minute, 32 }},
		{"persistence for networks", func(s *desired.Service) { s.Persistence, s.Granularity = time.Minute, 20 }},
		{"persistence for all clients together", func(s *desired.Service) { s.Persistence, s.Granularity = time.Minute, 0 }},
		{"IPv6", func(s *desired.Service) {
			s.Address, s.Persistence, s.Granularity = netip.MustParseAddrPort("[2001:db8::1]:80"), time.Minute, 64
		}},
	} {
		want := service("10.0.0.1:80")
		c.change(&want)
		w, err := writeService(want)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		w.Flags |= ipvs.ServiceHashed
		got, ok := readService(w)
		got.Destinations = want.Destinations
		if diff := desired.DiffServices([]desired.Service{want}, []desired.Service{got}, nil); !ok || len(diff) > 0 {
			t.Errorf("%s: %+v reads back as %+v", c.name, want, got)
		}
	}
	for _, d := range []desired.Destination{
		{Forward: desired.DR},
		{Forward: desired.NAT, Weight: 7, UpperThreshold: 100, LowerThreshold: 50},
		{Forward: desired.TUN},
		{Forward: desired.TUN, Tunnel: desired.Tunnel{Type: desired.GUE, Port: 6080, Checksum: desired.RemoteChecksum}},
		{Forward: desired.TUN, Tunnel: desired.Tunnel{Type: desired.GRE, Checksum: desired.FullChecksum}},
	} {
		want := d
		want.Address = netip.MustParseAddrPort("10.0.0.11:80")
		if got := readDestination(writeDestination(want)); got != want {
			t.Errorf("%+v reads back as %+v", want, got)
		}
	}
}

func owns(o *owned, addr string) bool {
	_, ok := o.keys[service(addr).ServiceKey]
	return ok
}
