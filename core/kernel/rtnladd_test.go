package kernel

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Many go to the kernel in one call: what it refuses is told of that one, with its own words, and the rest is there.
func TestAddressesAreAddedTogether(t *testing.T) {
	h := newHost(t)
	l, err := h.table.link("eth0")
	if err != nil {
		t.Fatal(err)
	}
	all := make([]entry, atOnce)
	for k := range all {
		all[k] = entry{index: l.index, prefix: netip.MustParsePrefix(fmt.Sprintf("10.9.0.%d/32", k)), label: "eth0", mark: mark, valid: time.Minute}
	}
	refused := map[int]error{3: unix.EINVAL, 40: unix.ENODEV, atOnce - 1: unix.ENODEV}
	all[3].label = "a label that is longer than any interface name"
	all[40].index, all[atOnce-1].index = 9999, 9999
	for range 2 { // the second time they are renewed
		errs := h.table.replace(all)
		for k, err := range errs {
			if _, bad := refused[k]; bad != (err != nil) || refused[k] == unix.ENODEV && !errors.Is(err, unix.ENODEV) {
				t.Errorf("address %d: %v, want %v", k, err, refused[k])
			}
		}
		entries, err := h.table.list()
		if err != nil {
			t.Fatal(err)
		}
		held := 0
		for _, e := range entries {
			if e.mark == mark {
				held++
			}
		}
		if held != atOnce-len(refused) {
			t.Errorf("the kernel holds %d, want %d", held, atOnce-len(refused))
		}
	}
}

func TestRenewalsOfOurOwnAddressesWakeNobody(t *testing.T) {
	h := newHost(t)
	l, err := h.table.link("eth0")
	if err != nil {
		t.Fatal(err)
	}
	add := func(prefix string, mark uint8) {
		if err := errors.Join(h.table.replace([]entry{{index: l.index, prefix: netip.MustParsePrefix(prefix), mark: mark}})...); err != nil {
			t.Fatal(err)
		}
	}
	h.do(func() error {
		s, err := NewLinks(LinkOptions{Logger: quiet()}).subscribe()
		if err != nil {
			return err
		}
		defer s.Close()
		add("10.9.0.1/32", mark)
		add("10.9.0.2/32", 0)
		add("10.9.0.3/32", mark)
		if err := h.table.remove(entry{index: l.index, prefix: netip.MustParsePrefix("10.9.0.1/32")}); err != nil {
			return err
		}
		for _, want := range []struct {
			typ    uint16
			prefix string
		}{{unix.RTM_NEWADDR, "10.9.0.2/32"}, {unix.RTM_DELADDR, "10.9.0.1/32"}} {
			messages, _, err := s.Receive()
			if err != nil {
				return err
			}
			e, err := parseEntry(messages[0].Data)
			if err != nil || messages[0].Header.Type != want.typ || e.prefix.String() != want.prefix {
				t.Errorf("the monitor hears of type %d of %v (%v), want %d of %s", messages[0].Header.Type, e.prefix, err, want.typ, want.prefix)
			}
		}
		return nil
	})
}
