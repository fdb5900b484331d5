package kernel

import (
	"context"
	"net/netip"
	"path/filepath"
	"slices"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/vipward/vipward/core/desired"
)

// probe is that of a real server from the address of eth0.
func probeOf(server string) desired.Probe {
	return desired.Probe{Server: netip.MustParseAddr(server), Source: netip.MustParseAddr("10.0.0.1")}
}

// directorWith is a host with an address on eth0 and these sysctls of it.
func directorWith(t *testing.T, acceptLocal, filter string) *host {
	h := newHost(t)
	h.change(func(l netlink.Link) error { return netlink.AddrAdd(l, ip("10.0.0.1/24")) })
	for name, value := range map[string]string{"eth0/accept_local": acceptLocal, "eth0/rp_filter": filter, "all/rp_filter": "0", "all/accept_local": "0"} {
		if err := h.ns.Sysctl("ipv4/conf/"+name, value); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// eth0 is what the kernel has there: accept_local and rp_filter.
func (h *host) eth0() (values []string) {
	h.Helper()
	h.do(func() error {
		for _, name := range []string{"accept_local", "rp_filter"} {
			v, err := readSysctl("net/ipv4/conf/eth0/" + name)
			if err != nil {
				return err
			}
			values = append(values, v)
		}
		return nil
	})
	return values
}

func (h *host) probing(record string) (p *Probing, stop func()) {
	p = NewProbing(ProbingOptions{Logger: quiet(), Record: record, Report: func(string) {}})
	return p, h.start(p.Run)
}

func (h *host) probe(p *Probing, want ...desired.Probe) {
	h.Helper()
	p.Set(&desired.State{Probes: want})
	ctx, cancel := context.WithTimeout(h.Context(), patience)
	defer cancel()
	if err := p.Wait(ctx); err != nil {
		h.Fatal(err)
	}
}

func (h *host) wantEth0(when string, want ...string) {
	h.Helper()
	if got := h.eth0(); !slices.Equal(got, want) {
		h.Errorf("%s accept_local and rp_filter of eth0 are %v, want %v", when, got, want)
	}
}

func TestAnswersFromTheVIPAreHeardWhileItIsProbedThrough(t *testing.T) {
	for _, c := range []struct {
		name                string
		acceptLocal, filter string
		during              []string
	}{
		{"a strict filter becomes loose", "0", "1", []string{"1", "2"}},
		{"without a filter there is none", "0", "0", []string{"1", "0"}},
		{"a loose filter stays", "0", "2", []string{"1", "2"}},
		{"what is right already stays", "1", "0", []string{"1", "0"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := directorWith(t, c.acceptLocal, c.filter)
			p, _ := h.probing("")
			h.probe(p, probeOf("10.0.0.11"), probeOf("10.0.0.12"))
			h.wantEth0("with probes", c.during...)
			h.probe(p, probeOf("10.0.0.11"))
			h.wantEth0("with one probe less", c.during...)
			h.probe(p)
			h.wantEth0("without probes", c.acceptLocal, c.filter)
		})
	}
}

func TestARunAfterACrashPutsBackWhatWasSet(t *testing.T) {
	h := directorWith(t, "0", "1")
	record := filepath.Join(t.TempDir(), "sysctls.json")
	p, stop := h.probing(record)
	h.probe(p, probeOf("10.0.0.11"))
	stop()
	h.wantEth0("after the first run", "1", "2")
	p, _ = h.probing(record)
	h.probe(p)
	h.wantEth0("after the second run", "0", "1")
}

func TestWhatSomebodyElseHasChangedSinceStays(t *testing.T) {
	h := directorWith(t, "0", "1")
	p, _ := h.probing("")
	h.probe(p, probeOf("10.0.0.11"))
	if err := h.ns.Sysctl("ipv4/conf/eth0/rp_filter", "0"); err != nil {
		t.Fatal(err)
	}
	h.probe(p)
	h.wantEth0("without probes", "0", "0")
}

func TestAServerWithoutAWayTakesNothingFromOthers(t *testing.T) {
	h := directorWith(t, "0", "1")
	p, _ := h.probing("")
	h.probe(p, probeOf("10.0.0.11"))
	h.probe(p, probeOf("192.0.2.1"))
	h.wantEth0("while no way is known", "1", "2")
	h.probe(p, probeOf("192.0.2.1"), probeOf("10.0.0.12"))
	h.wantEth0("with a way to another", "1", "2")
}

func TestProbesOfIPv6NeedNoSysctl(t *testing.T) {
	h := directorWith(t, "0", "1")
	p, _ := h.probing("")
	h.probe(p, desired.Probe{Server: netip.MustParseAddr("2001:db8::11"), Source: netip.MustParseAddr("2001:db8::1")})
	h.wantEth0("with a probe over IPv6", "0", "1")
}

func TestSysctlsThatAreWishedForAreSetAndPutBack(t *testing.T) {
	h := directorWith(t, "0", "1")
	record := filepath.Join(t.TempDir(), "sysctls.json")
	p, stop := h.probing(record)
	set := func(p *Probing, want ...desired.Sysctl) {
		t.Helper()
		p.Set(&desired.State{Sysctls: want})
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if err := p.Wait(ctx); err != nil {
			t.Fatal(err)
		}
	}
	filter := desired.Sysctl{Name: "net/ipv4/conf/eth0/rp_filter", Value: "0"}
	set(p, filter, desired.Sysctl{Name: "net/ipv4/conf/eth0/accept_local", Value: "1"})
	h.wantEth0("with both", "1", "0")
	set(p, filter)
	h.wantEth0("with one", "0", "0")
	stop() // killed
	p, _ = h.probing(record)
	set(p)
	h.wantEth0("in the end", "0", "1")
}

func TestWhatAnOperatorAsksForGoesBeforeWhatProbesNeed(t *testing.T) {
	h := directorWith(t, "0", "1")
	p, _ := h.probing("")
	p.Set(&desired.State{
		Probes: []desired.Probe{probeOf("10.0.0.11")}, Sysctls: []desired.Sysctl{{Name: "net/ipv4/conf/eth0/rp_filter", Value: "1"}},
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := p.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	h.wantEth0("with both wishes", "1", "1")
}

func TestAnInterfaceThatHasGoneNeedsNothingBack(t *testing.T) {
	h := directorWith(t, "0", "1")
	record := filepath.Join(t.TempDir(), "sysctls.json")
	p, _ := h.probing(record)
	h.probe(p, probeOf("10.0.0.11"))
	h.change(netlink.LinkDel)
	h.probe(p)
	s, err := readSysctls(record)
	if err != nil || len(s.before) > 0 {
		t.Errorf("the record still has %v, %v", s.before, err)
	}
}

func TestASysctlIsWrittenAsTheCommandTakesIt(t *testing.T) {
	got := sysctl{"net/ipv4/conf/eth0.100/rp_filter", "2"}.String()
	if want := "net.ipv4.conf.eth0/100.rp_filter=2"; got != want {
		t.Errorf("the sysctl is %s, want %s", got, want)
	}
}
