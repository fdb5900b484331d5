package kernel

import (
	"bytes"
	"encoding/hex"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ethernet"
	"github.com/mdlayher/ndp"
)

var (
	strangeMAC = net.HardwareAddr{2, 0, 0, 0, 0, 9}
	vip4       = netip.MustParseAddr("10.0.0.1")
	vip6       = netip.MustParseAddr("2001:db8::1")
	asker6     = netip.MustParseAddr("fe80::7")
)

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

// answer4 is what a Linux host says to an ARP probe, padded as hardware does.
func answer4() []byte {
	b := must(arpFrame(arp.OperationReply, strangeMAC, vip4, net.HardwareAddr{2, 0, 0, 0, 0, 1}, netip.IPv4Unspecified()))
	return append(b, make([]byte, 60-len(b))...)
}

// answer6 is the advertisement that answers a solicitation from asker6, or from :: where that is the destination of all.
func answer6(to netip.Addr, solicited bool, options ...ndp.Option) []byte {
	na := &ndp.NeighborAdvertisement{Solicited: solicited, Override: true, TargetAddress: vip6, Options: options}
	message := must(ndp.MarshalMessageChecksum(na, netip.MustParseAddr("fe80::9"), to))
	f := ethernet.Frame{
		Destination: net.HardwareAddr{2, 0, 0, 0, 0, 1}, Source: strangeMAC, EtherType: ethernet.EtherTypeIPv6,
		Payload: append(header6(netip.MustParseAddr("fe80::9"), to, len(message)), message...),
	}
	return must(f.MarshalBinary())
}

func TestSightings(t *testing.T) {
	target := &ndp.LinkLayerAddress{Direction: ndp.Target, Addr: net.HardwareAddr{2, 0, 0, 0, 0, 0xa}}
	edit := func(b []byte, at int, v ...byte) []byte {
		b = bytes.Clone(b)
		copy(b[at:], v)
		return b
	}
	for _, c := range []struct {
		name  string
		frame []byte
		want  string // empty for none
	}{
		{"an answer", answer4(), "10.0.0.1 02:00:00:00:00:09"},
		{"a gratuitous request", must(gratuitous(strangeMAC, vip4)), "10.0.0.1 02:00:00:00:00:09"},
		{"a gratuitous answer", must(unasked(strangeMAC, vip4)), "10.0.0.1 02:00:00:00:00:09"},
		{"a question from the address", must(arpFrame(arp.OperationRequest, strangeMAC, vip4, make(net.HardwareAddr, 6), netip.MustParseAddr("10.0.0.9"))), "10.0.0.1 02:00:00:00:00:09"},
		{"a probe claims nothing", must(question(strangeMAC, vip4, netip.Addr{})), ""},
		{"ARP of another hardware", edit(answer4(), 14, 0, 6), ""},
		{"ARP of another protocol", edit(answer4(), 16, 0x86, 0xdd), ""},
		{"ARP with long hardware addresses", edit(answer4(), 18, 255), ""},
		{"ARP with long addresses", edit(answer4(), 19, 7), ""},
		{"reverse ARP", edit(answer4(), 20, 0, 3), ""},
		{"ARP cut short", answer4()[:41], ""},
		{"ARP from a group address", edit(answer4(), 22, 0xff), ""},
		{"ARP from nobody", edit(answer4(), 22, 0, 0, 0, 0, 0, 0), ""},
		{"another protocol", edit(answer4(), 12, 8, 0), ""},
		{"no whole header", answer4()[:13], ""},

		{"an advertisement", answer6(asker6, true), "2001:db8::1 02:00:00:00:00:09"},
		{"an advertisement that names the hardware address", answer6(asker6, true, target), "2001:db8::1 02:00:00:00:00:0a"},
		{"an advertisement to all", answer6(allNodes, false, target), "2001:db8::1 02:00:00:00:00:0a"},
		{"our form of it", must(unsolicited(strangeMAC, vip6, false)), "2001:db8::1 02:00:00:00:00:09"},
		{"about to use the address", must(question(strangeMAC, vip6, netip.Addr{})), "2001:db8::1 02:00:00:00:00:09"},
		{"a solicitation claims nothing", must(question(strangeMAC, vip6, asker6)), ""},
		{"solicited, and to all", answer6(allNodes, true), ""},
		{"a wrong checksum", edit(answer6(asker6, true), icmpAt+2, 0, 0), ""},
		{"forwarded by a router", edit(answer6(asker6, true), frameHead+7, 254), ""},
		{"another code", edit(answer6(asker6, true), icmpAt+1, 1), ""},
		{"longer than the frame", edit(answer6(asker6, true), frameHead+4, 0xff), ""},
		{"shorter than an advertisement", edit(answer6(asker6, true), frameHead+4, 0, 23), ""},
		{"an extension header", edit(answer6(asker6, true), frameHead+6, 0), ""},
		{"IPv6 cut short", answer6(asker6, true)[:50], ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, ok := readSighting(c.frame)
			got := ""
			if ok {
				got = s.address.String() + " " + net.HardwareAddr(s.mac[:]).String()
			}
			if got != c.want {
				t.Errorf("readSighting = %q, want %q", got, c.want)
			}
		})
	}
}

// The questions, as tcpdump would show them.
func TestQuestions(t *testing.T) {
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 1}
	for _, c := range []struct {
		name            string
		address, source netip.Addr
		want            string
	}{
		{
			"an ARP probe", vip4,
			netip.Addr{},
			"ffffffffffff 020000000001 0806 0001 0800 06 04 0001 020000000001 00000000 000000000000 0a000001",
		},
		{
			"a solicitation", vip6, asker6,
			"3333ff000001 020000000001 86dd 60000000 0020 3a ff fe800000000000000000000000000007 ff0200000000000000000001ff000001" +
				"87 00 4b5b 00000000 20010db8000000000000000000000001 01 01 020000000001",
		},
		{
			"a solicitation of an interface without an address", vip6,
			netip.Addr{},
			"3333ff000001 020000000001 86dd 60000000 0018 3a ff 00000000000000000000000000000000 ff0200000000000000000001ff000001" +
				"87 00 4ced 00000000 20010db8000000000000000000000001",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := must(question(mac, c.address, c.source))
			if want := strings.ReplaceAll(c.want, " ", ""); hex.EncodeToString(bytes.TrimRight(got, "\x00")) != strings.TrimRight(want, "0") && hex.EncodeToString(got) != want {
				t.Errorf("question = %x, want %s", got, want)
			}
		})
	}
}

func TestGlimpsesAreFoldedAndBounded(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	g := glimpses{}
	told := func(after time.Duration, mac byte) string {
		now = now.Add(after)
		ok, flood := g.pass(now, sighting{vip4, [6]byte{2, 0, 0, 0, 0, mac}})
		switch {
		case ok:
			return "told"
		case flood:
			return "flood"
		}
		return "folded"
	}
	for _, c := range []struct {
		name  string
		ask   bool
		after time.Duration
		mac   byte
		want  string
	}{
		{"the first", false, 0, 9, "told"},
		{"the same at once", false, time.Millisecond, 9, "folded"},
		{"another machine", false, time.Millisecond, 10, "told"},
		{"the first after a question, the same or not", true, time.Millisecond, 10, "told"},
		{"its repetition", false, time.Millisecond, 10, "folded"},
		{"the same later", false, foldFor, 10, "told"},
	} {
		if c.ask {
			g.ask(vip4)
		}
		if got := told(c.after, c.mac); got != c.want {
			t.Errorf("%s is %s, want %s", c.name, got, c.want)
		}
	}
	now = now.Add(glimpseWindow)
	count := map[string]int{}
	for mac := range byte(100) {
		count[told(time.Millisecond, mac)]++
	}
	if count["told"] != glimpseMost || count["flood"] != 100-glimpseMost {
		t.Errorf("of 100 forged machines %v", count)
	}
	if g.ask(vip4); told(0, 1) != "told" {
		t.Error("the answer to a question drowned in a flood")
	}
}

func FuzzSighting(f *testing.F) {
	f.Add(answer4())
	f.Add(answer6(asker6, true))
	f.Add(must(unsolicited(strangeMAC, vip6, true)))
	f.Add(must(question(strangeMAC, vip6, netip.Addr{})))
	f.Add(must(question(strangeMAC, vip4, netip.Addr{})))
	f.Fuzz(func(t *testing.T, frame []byte) {
		before := bytes.Clone(frame)
		s, ok := readSighting(frame)
		if ok && (!s.address.IsValid() || s.address.IsMulticast() || s.mac == [6]byte{}) {
			t.Errorf("%v claims %v", s.mac, s.address)
		}
		if !bytes.Equal(before, frame) {
			t.Error("the frame was changed")
		}
	})
}
