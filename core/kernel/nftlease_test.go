package kernel

import (
	"context"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/vipward/vipward/core/desired"
)

// fastLeases runs an applier in the namespace, which has two VIPs, an address of its own, and reasons that are told.
func (h *host) fastLeases() (f *FastLeases, reasons chan string, stop func()) {
	h.Helper()
	h.dualStack()
	reasons = make(chan string, 10)
	f = NewFastLeases(FastLeaseOptions{Logger: quiet(), Report: func(s string) { reasons <- s }})
	return f, reasons, h.start(f.Run)
}

func (h *host) lease(f *FastLeases, d time.Duration, addrs ...string) {
	h.Helper()
	leases := []desired.FastLease{}
	for _, a := range addrs {
		leases = append(leases, desired.FastLease{Address: netip.MustParseAddr(a), For: d, Renewed: time.Now()})
	}
	f.Set(leases)
	ctx, cancel := context.WithTimeout(h.Context(), patience)
	defer cancel()
	if err := f.Wait(ctx); err != nil {
		h.Fatal(err)
	}
}

func (h *host) nft(command string) {
	h.Helper()
	h.do(func() error {
		out, err := exec.Command("nft", command).CombinedOutput()
		if err != nil {
			h.Errorf("nft %s: %s", command, out)
		}
		return err
	})
}

func (h *host) wantReached(addrs map[string]bool) {
	h.Helper()
	for a, want := range addrs {
		if got := h.reaches(a); got != want {
			h.Errorf("a datagram to %s arrives: %v, want %v\n%s", a, got, want, h.ruleset())
		}
	}
}

func TestAVIPWhoseFastLeaseIsOverIsNotReached(t *testing.T) {
	h := newHost(t)
	f, _, stop := h.fastLeases()
	h.lease(f, time.Minute, "10.0.0.1", "2001:db8::1")
	all := map[string]bool{"10.0.0.1": true, "2001:db8::1": true, "10.0.0.2": true, "2001:db8::2": true}
	h.wantReached(all)
	h.lease(f, 50*time.Millisecond, "10.0.0.1", "2001:db8::1")
	stop()                             // as if the daemon had died
	time.Sleep(100 * time.Millisecond) // the kernel ends it by its own clock
	all["10.0.0.1"], all["2001:db8::1"] = false, false
	h.wantReached(all)

	again, _, _ := h.fastLeases2()
	h.lease(again, time.Minute, "10.0.0.1", "2001:db8::1")
	all["10.0.0.1"], all["2001:db8::1"] = true, true
	h.wantReached(all)
	h.lease(again, time.Minute)
	if s := h.ruleset(); s != "" {
		t.Errorf("the last lease left %s", s)
	}
}

// fastLeases2 runs another applier, as a daemon that has started again.
func (h *host) fastLeases2() (f *FastLeases, reasons chan string, stop func()) {
	reasons = make(chan string, 10)
	f = NewFastLeases(FastLeaseOptions{Logger: quiet(), Report: func(s string) { reasons <- s }})
	return f, reasons, h.start(f.Run)
}

// Nothing is sent over these interfaces that the other end would answer to, so it is looked whether the kernel answers on eth1 for
// what eth0 has.
func TestNobodyIsAnsweredForAVIPWhoseFastLeaseIsOver(t *testing.T) {
	h := newHost(t)
	f, _, stop := h.fastLeases()
	h.lease(f, 30*time.Millisecond, "10.0.0.1", "2001:db8::1")
	stop()
	rules := h.ruleset()
	for _, want := range []string{
		"arp daddr ip @vips arp daddr ip != @leased", "arp saddr ip @vips arp saddr ip != @leased",
		"ip daddr @vips ip daddr != @leased", "ip6 saddr @vips6 ip6 saddr != @leased6",
	} {
		if !strings.Contains(rules, want) {
			t.Errorf("there is no %q in\n%s", want, rules)
		}
	}
}

func TestAFlushedRulesetIsPutBack(t *testing.T) {
	h := newHost(t)
	f, _, _ := h.fastLeases()
	h.lease(f, time.Minute, "10.0.0.1", "2001:db8::1")
	whole := h.ruleset()
	for _, command := range []string{
		"flush ruleset", "flush table arp vipward_lease", "delete element inet vipward_lease vips { 10.0.0.1 }", "delete table inet vipward_lease",
	} {
		h.nft(command)
		if !h.reaches("10.0.0.1") {
			t.Errorf("after %q the VIP is not reached", command)
		}
		h.eventually("the tables are as before "+command, func() bool { return sameRules(h.ruleset(), whole) })
	}
	h.nft("flush ruleset") // and the next renewal does not wait for the look
	h.lease(f, time.Minute, "10.0.0.1", "2001:db8::1")
	if !sameRules(h.ruleset(), whole) {
		t.Errorf("the renewal left\n%s", h.ruleset())
	}
}

// sameRules compares two rulesets but for times and counters.
func sameRules(a, b string) bool {
	return strings.Count(a, "drop") == strings.Count(b, "drop") && strings.Count(a, "2001:db8::1") == strings.Count(b, "2001:db8::1") && strings.Count(a, "10.0.0.1") == strings.Count(b, "10.0.0.1")
}

func TestALeaseThatWasOverIsRenewed(t *testing.T) {
	h := newHost(t)
	f, _, _ := h.fastLeases()
	h.lease(f, 30*time.Millisecond, "10.0.0.1")
	time.Sleep(60 * time.Millisecond) // the kernel ends it by its own clock
	h.lease(f, time.Minute, "10.0.0.1")
	h.wantReached(map[string]bool{"10.0.0.1": true})
	f.Set([]desired.FastLease{{Address: netip.MustParseAddr("10.0.0.1"), For: time.Second, Renewed: time.Now().Add(-time.Minute)}})
	h.eventually("what was taken back is over", func() bool { return !h.reaches("10.0.0.1") })
}

func TestTheTablesOfARunThatWasKilledGo(t *testing.T) {
	h := newHost(t)
	h.do(func() error { return (&nftLeases{}).replace([]lease{{netip.MustParseAddr("10.0.0.1"), 0}}) })
	h.nft("add table inet firewall")
	f, _, _ := h.fastLeases()
	h.lease(f, 0)
	if s := h.ruleset(); strings.Contains(s, "vipward") || !strings.Contains(s, "firewall") {
		t.Errorf("the ruleset is %s, want the table of the firewall alone", s)
	}
}
