package vrrp

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// sender, receiver and VIP of the messages that are made here, in both families.
var (
	fourFrom, fourTo = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	sixFrom, sixTo   = netip.MustParseAddr("fe80::1"), netip.MustParseAddr("fe80::2")
	sixVIPs          = []netip.Addr{netip.MustParseAddr("fe80::100"), netip.MustParseAddr("2001:db8::100")}
)

// sample is a valid message of that version and family with its header, and the router that accepts it.
func sample(version uint8, ipv6 bool) (Advert, Header, Config) {
	a := Advert{Version: version, VRID: 51, Priority: 150, Interval: time.Second, Addresses: vips, Rule: ChecksumRFC9568}
	c := Config{VRID: 51, Version: version, Priority: 100, Preempt: true, Interval: time.Second, Source: fourTo}
	src := fourFrom
	if ipv6 {
		src, c.Source, a.Addresses, a.Rule = sixFrom, sixTo, sixVIPs, ChecksumPseudo
	}
	c.Addresses = a.Addresses
	return a, Header{src, group(src), 255}, c
}

// resum puts the checksum right after a change.
func resum(b []byte, h Header, rule ChecksumRule) []byte {
	b[6], b[7] = 0, 0
	binary.BigEndian.PutUint16(b[6:], checksum(b, h.Source, h.Destination, rule))
	return b
}

// judge is what a router says of a message: a reason, or nothing.
func judge(c Config, h Header, b []byte) Reason {
	r := NewRouter(c)
	r.Step(epoch, Start{})
	_, reason := r.check(epoch, h, b)
	return reason
}

func many(n int) (list []netip.Addr) {
	for k := range n {
		list = append(list, netip.AddrFrom4([4]byte{198, 51, 100, byte(k)}))
	}
	return list
}

func TestMessagesAroundTheVectors(t *testing.T) {
	for _, m := range []struct {
		name    string
		version uint8
		ipv6    bool
		change  func(b []byte) []byte // before the checksum is put right
		header  func(*Header)
		config  func(*Config)
		want    Reason
	}{
		{name: "version 2", version: 2},
		{name: "version 3", version: 3},
		{name: "version 3 over IPv6", version: 3, ipv6: true},
		{name: "the reserved bits of version 3 are ignored", version: 3, change: set(4, 0xf0, 0x64)},
		{name: "and over IPv6", version: 3, ipv6: true, change: set(4, 0xf0, 0x64)},
		{name: "the longest interval of version 3", version: 3, change: set(4, 0x0f, 0xff)},
		{name: "the shortest interval of version 3", version: 3, change: set(4, 0, 1)},
		{name: "interval 0, with reserved bits", version: 3, change: set(4, 0xf0, 0), want: ReasonInterval},
		{name: "interval 0 in version 2", version: 2, change: set(5, 0), want: ReasonInterval},
		{name: "another interval in version 2", version: 2, change: set(5, 2), want: ReasonInterval},
		{name: "authentication data without a type is ignored", version: 2, change: set(12, 'x', 'y')},
		{name: "priority 0", version: 3, change: set(2, 0)},
		{name: "priority 255", version: 3, change: set(2, 255)},
		{name: "count 0 and nothing after it", version: 3, change: func(b []byte) []byte { b[3] = 0; return b[:8] }, want: ReasonCount},
		{name: "count 0 in version 2", version: 2, change: func(b []byte) []byte { b[3] = 0; return append(b[:8], b[12:]...) }, want: ReasonCount},
		{name: "count 0 over IPv6", version: 3, ipv6: true, change: func(b []byte) []byte { b[3] = 0; return b[:8] }, want: ReasonCount},
		{name: "count beyond the end", version: 3, change: set(3, 2), want: ReasonLength},
		{name: "count 255 beyond the end", version: 3, change: set(3, 255), want: ReasonLength},
		{name: "count below what is there", version: 3, ipv6: true, change: set(3, 1), want: ReasonLength},
		{name: "padding that IP counts", version: 3, change: func(b []byte) []byte { return append(b, 0, 0) }, want: ReasonLength},
		{name: "version 1", version: 3, change: set(0, 0x11), want: ReasonVersion},
		{name: "version 0", version: 3, change: set(0, 0x01), want: ReasonVersion},
		{name: "version 15", version: 3, change: set(0, 0xf1), want: ReasonVersion},
		{name: "type 0", version: 3, change: set(0, 0x30), want: ReasonType},
		{name: "type 15", version: 2, change: set(0, 0x2f), want: ReasonType},
		{name: "version 2 over IPv6", version: 3, ipv6: true, change: set(0, 0x21), want: ReasonVersion},
		{name: "VRID 0", version: 3, change: set(1, 0), want: ReasonVRID},
		{name: "TTL 0", version: 3, header: func(h *Header) { h.TTL = 0 }, want: ReasonTTL},
		{name: "hop limit 254", version: 3, ipv6: true, header: func(h *Header) { h.TTL = 254 }, want: ReasonTTL},
		{
			name: "unicast to a multicast router", version: 3, want: ReasonDestination,
			header: func(h *Header) { h.Destination = fourTo },
		},
		{
			name: "multicast to a unicast router", version: 3, want: ReasonDestination,
			config: func(c *Config) { c.Peers = []netip.Addr{fourFrom} },
		},
		{
			name: "a global source over multicast", version: 3, ipv6: true, want: ReasonSource,
			header: func(h *Header) { h.Source = netip.MustParseAddr("2001:db8::1") },
		},
		{name: "type PASS where nothing is configured", version: 2, change: set(4, 1), want: ReasonAuthType},
		{name: "no password where one is configured", version: 2, config: func(c *Config) { c.Password = "s3cret" }, want: ReasonAuthType},
		{
			name: "the password", version: 2, config: func(c *Config) { c.Password = "12345678" },
			change: set(4, 1, 1, 0, 0, 192, 0, 2, 100, '1', '2', '3', '4', '5', '6', '7', '8'),
		},
		{
			name: "the beginning of the password", version: 2, config: func(c *Config) { c.Password = "12345678" }, want: ReasonAuth,
			change: set(4, 1, 1, 0, 0, 192, 0, 2, 100, '1', '2', '3', '4', '5', '6', '7'),
		},
		{name: "type 255", version: 2, change: set(4, 255), want: ReasonAuthType},
		{name: "a trailer that nobody asked for", version: 3, change: func(b []byte) []byte { return append(b, make([]byte, 28)...) }, want: ReasonLength},
	} {
		a, h, c := sample(m.version, m.ipv6)
		if m.config != nil {
			m.config(&c)
		}
		if m.header != nil {
			m.header(&h)
		}
		b := a.Append(nil, h.Source, h.Destination)
		if m.change != nil {
			b = m.change(b)
		}
		if got := judge(c, h, resum(b, h, a.Rule)); got != m.want {
			t.Errorf("%s: judged %q, want %q", m.name, got, m.want)
		}
	}
}

// set is a change that writes bytes at a place.
func set(at int, v ...byte) func([]byte) []byte {
	return func(b []byte) []byte { copy(b[at:], v); return b }
}

func TestAMessageCutAnywhereIsNoAdvert(t *testing.T) {
	for _, version := range []uint8{2, 3} {
		for _, ipv6 := range []bool{false, true} {
			if version == 2 && ipv6 {
				continue
			}
			a, h, c := sample(version, ipv6)
			whole := a.Append(nil, h.Source, h.Destination)
			for n := range len(whole) {
				if got := judge(c, h, whole[:n]); got != ReasonLength {
					t.Errorf("version %d, %d of %d bytes: %q, want %q", version, n, len(whole), got, ReasonLength)
				}
			}
			for n := 1; n <= 64; n++ {
				if got := judge(c, h, append(slices.Clone(whole), make([]byte, n)...)); got == "" {
					t.Errorf("version %d with %d bytes more is accepted", version, n)
				}
			}
		}
	}
}

// A checksum in one's complement finds every single bit, whatever rule it follows.
func TestAMessageWithOneBitWrongIsNoAdvert(t *testing.T) {
	for _, m := range []struct {
		version uint8
		ipv6    bool
		rule    ChecksumRule
	}{{2, false, ChecksumRFC9568}, {3, false, ChecksumRFC9568}, {3, false, ChecksumPseudo}, {3, true, ChecksumPseudo}} {
		a, h, c := sample(m.version, m.ipv6)
		a.Rule, c.Checksum = m.rule, m.rule
		whole := a.Append(nil, h.Source, h.Destination)
		if reason := judge(c, h, whole); reason != "" {
			t.Fatalf("%+v: the whole message is judged %q", m, reason)
		}
		for bit := range len(whole) * 8 {
			b := slices.Clone(whole)
			b[bit/8] ^= 1 << (bit % 8)
			if judge(c, h, b) == "" {
				t.Errorf("%+v: with bit %d of byte %d wrong it is accepted", m, bit%8, bit/8)
			}
		}
	}
}

func TestEveryCountOfAddressesIsWrittenAndRead(t *testing.T) {
	for _, version := range []uint8{2, 3} {
		for _, n := range []int{1, 2, 20, 254, 255, 256, 300} {
			a, h, c := sample(version, false)
			a.Addresses = many(n)
			b := a.Append(nil, h.Source, h.Destination)
			got, err := Parse(h, b)
			if err != nil {
				t.Errorf("version %d, %d addresses: %v", version, n, err)
				continue
			}
			if want := a.Addresses[:min(n, 255)]; !slices.Equal(got.Addresses, want) {
				t.Errorf("version %d: of %d addresses %d were read, want %d", version, n, len(got.Addresses), len(want))
			}
			if reason := judge(c, h, b); reason != "" {
				t.Errorf("version %d, %d addresses: judged %q", version, n, reason)
			}
		}
	}
}

// The reserved bits are sent as 0, whatever the interval.
func TestTheReservedBitsAreSentAsZero(t *testing.T) {
	for _, interval := range []time.Duration{10 * time.Millisecond, time.Second, 4095 * centi, time.Hour} {
		a, h, _ := sample(3, false)
		a.Interval = interval
		if b := a.Append(nil, h.Source, h.Destination); b[4]>>4 != 0 {
			t.Errorf("with an interval of %v the reserved bits are %#x", interval, b[4]>>4)
		}
	}
	a, h, _ := sample(2, false)
	if b := a.Append(nil, h.Source, h.Destination); fmt.Sprintf("%x", b[12:]) != "0000000000000000" {
		t.Errorf("the authentication data without a password is %x", b[12:])
	}
}
