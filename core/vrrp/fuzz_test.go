package vrrp

import (
	"fmt"
	"net/netip"
	"testing"
)

// FuzzReceive gives messages to routers with the configurations of all vectors, in BACKUP and in MASTER: whatever is discarded changes
// nothing but a counter, and what is signed is never taken twice.
func FuzzReceive(f *testing.F) {
	all := vectors(f)
	for k, v := range all {
		h := v.header()
		f.Add(uint8(k), h.TTL, h.Source.AsSlice(), h.Destination.AsSlice(), v.payload(f))
	}
	f.Fuzz(func(t *testing.T, which, ttl uint8, from, to, b []byte) {
		v := all[int(which)%len(all)]
		src, _ := netip.AddrFromSlice(from)
		dst, _ := netip.AddrFromSlice(to)
		for _, master := range []bool{false, true} {
			cfg := v.config()
			if !cfg.Source.IsValid() {
				cfg.Source = own
			}
			r := NewRouter(cfg)
			r.Remember(v.marks())
			r.Step(v.now(), Start{Adopt: master})
			in := Received{Header: Header{src, dst, ttl}, Payload: b}
			wantUnmoved(t, r, func() Output { return r.Step(v.now(), in) })
			taken := r.Counters().Received
			wantUnmoved(t, r, func() Output { return r.Step(v.now(), in) })
			if again := r.Counters().Received; len(cfg.Auth.Keys) > 0 && cfg.Auth.Mode == AuthEnforce && taken == 1 && again == 2 {
				t.Errorf("the same signed advert was taken twice: %x", b)
			}
		}
	})
}

// wantUnmoved takes a step, after which a router that has discarded the message must be as before. A message whose signature is right and
// whose time is not is known to come from somebody with the key, and is remembered.
func wantUnmoved(t *testing.T, r *Router, step func() Output) {
	t.Helper()
	shape := func() string {
		addr, priority, last := r.Master()
		return fmt.Sprint(r.State(), r.Deadline(), r.Holds(), r.Effective(), r.Interval(), r.rule, addr, priority, last, r.Counters().Sent)
	}
	before, counted := shape(), r.Counters()
	out := step()
	after := r.Counters()
	if after.Received != counted.Received || after.Discarded[ReasonAuthStale] != counted.Discarded[ReasonAuthStale] {
		return
	}
	discarded := uint64(0)
	for reason, n := range after.Discarded {
		discarded += n - counted.Discarded[reason]
	}
	if discarded != 1 {
		t.Errorf("%d reasons were counted for one message", discarded)
	}
	if shape() != before || out.Changed || out.Announce || len(out.Adverts) > 0 {
		t.Errorf("a message that was discarded (%v) changed %s to %s: %+v", after.Discarded, before, shape(), out)
	}
}
