package wire

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"
)

var (
	left      = netip.MustParseAddr("192.0.2.1")
	right     = netip.MustParseAddr("192.0.2.2")
	multicast = netip.MustParseAddr("224.0.0.18")
)

func TestParse(t *testing.T) {
	payload := []byte("a message")
	good := func(change func(b []byte) []byte) []byte {
		b, err := packet(left, multicast, payload)
		if err != nil {
			t.Fatal(err)
		}
		b[2], b[3] = 0, byte(len(b)) // as the kernel fills it in
		return change(b)
	}
	set := func(at int, v ...byte) func([]byte) []byte {
		return func(b []byte) []byte { copy(b[at:], v); return b }
	}
	for _, c := range []struct {
		name string
		in   []byte
		err  error
	}{
		{"a packet without options", good(set(0)), nil},
		{"the padding of a short frame is cut off", good(func(b []byte) []byte { return append(b, 0, 0, 0) }), nil},
		{"options are skipped", good(func(b []byte) []byte {
			b[0], b[3] = 0x46, b[3]+4
			return append(append(append([]byte(nil), b[:20]...), 1, 1, 1, 0), b[20:]...)
		}), nil},
		{"don't fragment is no fragment", good(set(6, 0x40)), nil},
		{"nothing at all", nil, errShort},
		{"a header that is cut", good(func(b []byte) []byte { return b[:19] }), errShort},
		{"a header length below 20", good(set(0, 0x44)), errShort},
		{"a header longer than the packet", good(func(b []byte) []byte { b[0], b[3] = 0x4f, 29; return b }), errShort},
		{"a total length beyond the packet", good(set(2, 0, 200)), errShort},
		{"a total length below the header", good(set(2, 0, 19)), errShort},
		{"IPv6", good(set(0, 0x65)), errVersion},
		{"another protocol", good(set(9, 113)), errProtocol},
		{"a first fragment", good(set(6, 0x20)), errFragment},
		{"a last fragment", good(set(6, 0, 1)), errFragment},
	} {
		h, p, err := parse(c.in, len(c.in))
		if !errors.Is(err, c.err) {
			t.Errorf("%s: error %v, want %v", c.name, err, c.err)
			continue
		}
		if err == nil && (h.Source != left || h.Destination != multicast || h.TTL != 255 || !bytes.Equal(p, payload)) {
			t.Errorf("%s: got %+v with payload %q", c.name, h, p)
		}
	}
}

func TestPacketRefusesWhatIsNotIPv4(t *testing.T) {
	for _, src := range []netip.Addr{{}, netip.MustParseAddr("fe80::1"), netip.MustParseAddr("::ffff:192.0.2.1")} {
		if _, err := packet(src, multicast, nil); err == nil {
			t.Errorf("a packet from %v was made", src)
		}
	}
}

func FuzzParse(f *testing.F) {
	b, err := packet(left, multicast, []byte("message"))
	if err != nil {
		f.Fatal(err)
	}
	b[3] = byte(len(b))
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, p, err := parse(b, len(b)); err == nil && (!h.Source.Is4() || !h.Destination.Is4() || len(p) > len(b)-headerLen) {
			t.Errorf("parse(%x) = %+v, %x", b, h, p)
		}
	})
}
