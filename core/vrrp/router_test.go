package vrrp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	own      = netip.MustParseAddr("192.0.2.2")
	other    = netip.MustParseAddr("192.0.2.1")
	stranger = netip.MustParseAddr("198.51.100.7")
	second   = netip.MustParseAddr("192.0.2.101")
)

// pair is the usual configuration, changed by change.
func pair(change func(*Config)) Config {
	c := config([]string{"ip=" + own.String()})
	change(&c)
	return c
}

// message is an advert of the other router with its IP header, changed by change.
func message(change func(*Header, *Advert)) Received {
	h := Header{Source: other, Destination: group(other), TTL: 255}
	a := Advert{Version: 3, VRID: 51, Priority: 200, Interval: time.Second, Addresses: vips}
	change(&h, &a)
	return Received{Header: h, Payload: a.Append(nil, h.Source, h.Destination)}
}

func TestRouterAcceptsOnlyWhatItsConfigurationAllows(t *testing.T) {
	unicast := func(c *Config) { c.Peers = []netip.Addr{other} }
	password := func(c *Config) { c.Version, c.Password = 2, "s3cret" }
	v2 := func(h *Header, a *Advert) { a.Version, a.AuthType, a.Auth = 2, 1, [8]byte([]byte("s3cret\x00\x00")) }
	toMe := func(h *Header, _ *Advert) { h.Destination = own }
	list := func(addrs ...netip.Addr) func(*Header, *Advert) {
		return func(_ *Header, a *Advert) { a.Addresses = addrs }
	}
	tests := []struct {
		name   string
		config func(*Config)
		advert func(*Header, *Advert)
		want   Reason
	}{
		{"multicast from anybody on the link", func(*Config) {}, func(h *Header, _ *Advert) { h.Source = stranger }, ""},
		{"multicast that was forwarded", func(c *Config) { c.MinTTL = 1 }, func(h *Header, _ *Advert) { h.TTL = 254 }, ReasonTTL},
		{"unicast at a multicast router", func(*Config) {}, toMe, ReasonDestination},
		{"multicast at a unicast router", unicast, func(*Header, *Advert) {}, ReasonDestination},
		{"unicast from a peer", unicast, toMe, ""},
		{"unicast from somebody else", unicast, func(h *Header, _ *Advert) { h.Source, h.Destination = stranger, own }, ReasonSource},
		{"unicast below TTL 255 by default", unicast, func(h *Header, _ *Advert) { h.Destination, h.TTL = own, 254 }, ReasonTTL},
		{
			"unicast at min_ttl", func(c *Config) { unicast(c); c.MinTTL = 250 },
			func(h *Header, _ *Advert) { h.Destination, h.TTL = own, 250 }, "",
		},
		{
			"unicast below min_ttl", func(c *Config) { unicast(c); c.MinTTL = 250 },
			func(h *Header, _ *Advert) { h.Destination, h.TTL = own, 249 }, ReasonTTL,
		},
		{"another family", func(*Config) {}, func(h *Header, _ *Advert) {
			h.Source, h.Destination = netip.MustParseAddr("fe80::1"), netip.MustParseAddr("ff02::12")
		}, ReasonSource},
		{"no source", func(*Config) {}, func(h *Header, _ *Advert) { h.Source = netip.Addr{} }, ReasonSource},
		{"the right password", password, v2, ""},
		{"no password where one is needed", password, func(_ *Header, a *Advert) { a.Version = 2 }, ReasonAuthType},
		{"a password where none is configured", func(c *Config) { c.Version = 2 }, v2, ReasonAuthType},
		{"the password with more behind it", password, func(h *Header, a *Advert) { v2(h, a); a.Auth[7] = 'x' }, ReasonAuth},
		{"the version 2 interval of another router", password, func(h *Header, a *Advert) { v2(h, a); a.Interval *= 2 }, ReasonInterval},
		{"another address", func(*Config) {}, list(second), ""},
		{"another address under strict_addresses", func(c *Config) { c.StrictAddresses = true }, list(second), ReasonAddresses},
		{"one address more under strict_addresses", func(c *Config) { c.StrictAddresses = true }, list(vips[0], second), ReasonAddresses},
		{
			"the same addresses in another order under strict_addresses",
			func(c *Config) { c.StrictAddresses, c.Addresses = true, []netip.Addr{second, vips[0], own} }, list(vips[0], own, second), "",
		},
		{
			"other addresses of the owner under strict_addresses", func(c *Config) { c.StrictAddresses = true },
			func(_ *Header, a *Advert) { a.Addresses, a.Priority = []netip.Addr{second}, 255 }, "",
		},
		{"a plain sum under the rule pseudo", func(c *Config) { c.Checksum = ChecksumPseudo }, func(_ *Header, a *Advert) { a.Rule = ChecksumRFC9568 }, ReasonChecksum},
		{"a pseudo-header under the rule pseudo", func(c *Config) { c.Checksum = ChecksumPseudo }, func(*Header, *Advert) {}, ""},
		{"a plain sum under the rule rfc9568", func(c *Config) { c.Checksum = ChecksumRFC9568 }, func(_ *Header, a *Advert) { a.Rule = ChecksumRFC9568 }, ""},
		{"a pseudo-header under the rule rfc9568", func(c *Config) { c.Checksum = ChecksumRFC9568 }, func(*Header, *Advert) {}, ReasonChecksum},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := NewRouter(pair(tt.config))
			r.Step(epoch, Start{})
			in := message(tt.advert)
			if !in.Header.Source.IsValid() {
				in.Payload = message(func(*Header, *Advert) {}).Payload
			}
			r.Step(epoch, in)
			c := r.Counters()
			if tt.want == "" && (c.Received != 1 || len(c.Discarded) != 0) {
				t.Errorf("discarded %v, want it accepted", c.Discarded)
			}
			if tt.want != "" && (c.Received != 0 || c.Discarded[tt.want] != 1) {
				t.Errorf("received %d, discarded %v, want %q", c.Received, c.Discarded, tt.want)
			}
		})
	}
}

func TestChecksumAutoCopiesThePeer(t *testing.T) {
	r := NewRouter(pair(func(*Config) {}))
	sent := func() ChecksumRule {
		return r.Step(r.Deadline(), Timeout{}).Adverts[0].Rule
	}
	r.Step(epoch, Start{Adopt: true})
	if got := sent(); got != ChecksumPseudo {
		t.Errorf("rule %s before a peer was heard, want pseudo", got)
	}
	losing := func(rule ChecksumRule) Received {
		return message(func(_ *Header, a *Advert) { a.Priority, a.Rule = 50, rule })
	}
	r.Step(r.Deadline(), losing(ChecksumRFC9568))
	if got := sent(); got != ChecksumRFC9568 {
		t.Errorf("rule %s after a peer with rfc9568, want rfc9568", got)
	}
	if r.Reconfigure(r.Deadline(), r.Config()); sent() != ChecksumRFC9568 {
		t.Error("a reload forgot the peer's rule")
	}
	r.Step(r.Deadline(), losing(ChecksumPseudo))
	if got := sent(); got != ChecksumPseudo {
		t.Errorf("rule %s after a peer with pseudo, want pseudo", got)
	}
}

func TestChecksumOfOldKeepalivedInUnicast(t *testing.T) {
	h := Header{Source: other, Destination: own, TTL: 255}
	a := Advert{Version: 3, VRID: 51, Priority: 200, Interval: time.Second, Addresses: vips}
	if _, err := Parse(h, a.Append(nil, other, group(other))); err != nil {
		t.Errorf("Parse = %v, want the group in the pseudo-header accepted", err)
	}
	_, err := Parse(h, a.Append(nil, other, stranger))
	var d *Discard
	if !errors.As(err, &d) || d.Reason != ReasonChecksum {
		t.Errorf("Parse = %v, want a checksum for another destination discarded", err)
	}
}

func TestReservedBitsAreIgnored(t *testing.T) {
	in := message(func(*Header, *Advert) {})
	in.Payload[4] |= 0xf0
	binary.BigEndian.PutUint16(in.Payload[6:], 0)
	binary.BigEndian.PutUint16(in.Payload[6:], checksum(in.Payload, other, group(other), ChecksumRFC9568))
	a, err := Parse(in.Header, in.Payload)
	if err != nil || a.Interval != time.Second {
		t.Errorf("Parse = %v, %v; want an interval of 1s", a.Interval, err)
	}
}

func TestAppendWritesWhatTheFormatHolds(t *testing.T) {
	v6 := netip.MustParseAddr("2001:db8::1")
	linkLocal := netip.MustParseAddr("fe80::2")
	many := slices.Repeat(vips, 300)
	tests := []struct {
		name   string
		advert Advert
		src    netip.Addr
		count  int
		field  uint16 // bytes 4 and 5
	}{
		{"addresses of another family are left out", Advert{Version: 3, Interval: time.Second, Addresses: []netip.Addr{v6, vips[0]}}, own, 1, 100},
		{"the 256th address is left out", Advert{Version: 3, Interval: time.Second, Addresses: many}, own, 255, 100},
		{"the longest interval of version 3", Advert{Version: 3, Interval: time.Minute, Addresses: vips}, own, 1, 4095},
		{"the longest interval of version 2", Advert{Version: 2, Interval: time.Hour, Addresses: vips}, own, 1, 255},
		{"IPv6", Advert{Version: 3, Interval: 10 * time.Millisecond, Addresses: []netip.Addr{linkLocal, v6}}, linkLocal, 2, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.advert.VRID = 51
			dst := group(tt.src)
			b := tt.advert.Append([]byte("before"), tt.src, dst)
			if string(b[:6]) != "before" {
				t.Fatalf("Append = %x, want it behind what was there", b)
			}
			a, err := Parse(Header{tt.src, dst, 255}, b[6:])
			if err != nil || len(a.Addresses) != tt.count {
				t.Errorf("Parse = %d addresses, %v; want %d", len(a.Addresses), err, tt.count)
			}
			if got := binary.BigEndian.Uint16(b[10:]); got != tt.field {
				t.Errorf("bytes 4 and 5 are %d, want %d", got, tt.field)
			}
		})
	}
}

func TestNotesAreGivenOnceAMinuteOfEachKind(t *testing.T) {
	r := NewRouter(pair(func(*Config) {}))
	r.Step(epoch, Start{})
	given := map[string]int{}
	for i := range 120 {
		now := epoch.Add(time.Duration(i) * time.Second)
		for _, in := range []Received{
			message(func(_ *Header, a *Advert) { a.Interval = 2 * time.Second }),
			message(func(_ *Header, a *Advert) { a.Addresses = slices.Repeat(vips, 20) }),
			message(func(h *Header, _ *Advert) { h.TTL = 1 }),
			message(func(_ *Header, a *Advert) { a.Version = 2 }),
			message(func(_ *Header, a *Advert) { a.VRID = 9 }), // another virtual router is no news
		} {
			for _, n := range r.Step(now, in).Notes {
				given[n.Code]++
				if len(n.Text) > 300 || !strings.Contains(n.Text, other.String()) {
					t.Errorf("%s: %q, want a short text with the peer's address", n.Code, n.Text)
				}
			}
		}
	}
	want := map[string]int{NoteInterval: 2, NoteAddresses: 2, NoteDiscarded: 4} // discarded for two reasons
	if got := fmt.Sprint(given); got != fmt.Sprint(want) {
		t.Errorf("notes %s, want %v", got, want)
	}
}

func TestCountersAreACopy(t *testing.T) {
	r := NewRouter(pair(func(*Config) {}))
	r.Step(epoch, message(func(*Header, *Advert) {}))
	r.Step(epoch, message(func(h *Header, _ *Advert) { h.TTL = 1 }))
	r.Step(epoch, Start{Adopt: true})
	r.Step(epoch, Stop{})
	before := r.Counters()
	want := Counters{Sent: 2, Received: 1, PriorityZeroSent: 1, BecameMaster: 1, Discarded: map[Reason]uint64{ReasonTTL: 1}}
	if fmt.Sprint(before) != fmt.Sprint(want) {
		t.Errorf("Counters = %+v, want %+v", before, want)
	}
	before.Discarded[ReasonTTL]++
	if got := r.Counters().Discarded[ReasonTTL]; got != 1 {
		t.Errorf("a copy changed the router: %d", got)
	}
}

func TestPasswordIsSent(t *testing.T) {
	r := NewRouter(pair(func(c *Config) { c.Version, c.Password = 2, "s3cret" }))
	a := r.Step(epoch, Start{Adopt: true}).Adverts[0]
	if a.AuthType != 1 || string(a.Auth[:]) != "s3cret\x00\x00" {
		t.Errorf("authentication %d %q, want 1 and the password", a.AuthType, a.Auth)
	}
}

func TestTimeoutBeforeTheDeadlineIsNothing(t *testing.T) {
	r := NewRouter(pair(func(*Config) {}))
	r.Step(epoch, Timeout{})
	r.Step(epoch, Start{})
	if out := r.Step(r.Deadline().Add(-1), Timeout{}); out.Changed || r.State() != Backup {
		t.Errorf("state %s a nanosecond too early, want BACKUP", r.State())
	}
	if r.Step(r.Deadline(), Timeout{}); r.State() != Master {
		t.Errorf("state %s at the deadline, want MASTER", r.State())
	}
}

func TestBackupThatIsLateTwiceTakesOver(t *testing.T) {
	r := NewRouter(pair(func(*Config) {}))
	r.Step(epoch, Start{})
	r.Step(epoch.Add(time.Minute), Timeout{})
	if r.State() != Backup || r.Deadline().Sub(epoch) != time.Minute+609375*time.Microsecond {
		t.Fatalf("%s until %v after it fired late, want BACKUP for a skew", r.State(), r.Deadline().Sub(epoch))
	}
	if r.Step(epoch.Add(2*time.Minute), Timeout{}); r.State() != Master {
		t.Errorf("%s after it fired late twice, want MASTER: a slow machine must not wait for ever", r.State())
	}
}

// A backup that follows its master and a master that advertises are what a router does nearly all the time.
func TestCommonStepsDoNotAllocate(t *testing.T) {
	for name, step := range commonSteps() {
		if n := testing.AllocsPerRun(100, step); n != 0 {
			t.Errorf("%s: %v allocations, want 0", name, n)
		}
	}
}

func commonSteps() map[string]func() {
	backup, master := NewRouter(pair(func(*Config) {})), NewRouter(pair(func(*Config) {}))
	backup.Step(epoch, Start{})
	master.Step(epoch, Start{Adopt: true})
	in := message(func(*Header, *Advert) {})
	return map[string]func(){
		"backup hears its master": func() { backup.Step(epoch, in) },
		"master advertises":       func() { master.Step(master.Deadline(), Timeout{}) },
	}
}

func BenchmarkStep(b *testing.B) {
	for name, step := range commonSteps() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				step()
			}
		})
	}
}

// What junk costs: it is counted, and told of once a minute.
func BenchmarkJunk(b *testing.B) {
	for name, in := range map[string]Received{
		"of a wrong TTL":  message(func(h *Header, _ *Advert) { h.TTL = 64 }),
		"of another VRID": message(func(_ *Header, a *Advert) { a.VRID = 9 }),
		"that loses":      message(func(_ *Header, a *Advert) { a.Priority = 1 }),
		"that resigns":    message(func(_ *Header, a *Advert) { a.Priority = 0 }),
	} {
		b.Run(name, func(b *testing.B) {
			r := NewRouter(pair(func(*Config) {}))
			r.Step(epoch, Start{Adopt: true})
			b.ReportAllocs()
			for b.Loop() {
				r.Step(epoch, in)
			}
		})
	}
}

func TestAMasterKeepsToItsBeat(t *testing.T) {
	r := NewRouter(pair(func(*Config) {}))
	r.Step(epoch, Start{Adopt: true})
	for k := range 10 {
		due := epoch.Add(time.Duration(k+1) * time.Second)
		if !r.Deadline().Equal(due) {
			t.Fatalf("advert %d is due after %v, want %v", k+1, r.Deadline().Sub(epoch), due.Sub(epoch))
		}
		r.Step(due.Add(30*time.Millisecond), Timeout{}) // a machine that is busy
	}
	late := r.Deadline().Add(700 * time.Millisecond)
	if r.Step(late, Timeout{}); !r.Deadline().Equal(late.Add(time.Second)) {
		t.Errorf("after a long sleep the next advert comes after %v, want a whole interval", r.Deadline().Sub(late))
	}
}
