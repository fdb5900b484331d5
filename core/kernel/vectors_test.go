package kernel

import (
	"encoding/hex"
	"encoding/json"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
)

// TestAnnouncementsAreThoseOfTheVectors makes the announcements that keepalived was seen to send, byte for byte: of each the
// hardware address and the VIP are taken, and whether its host forwards.
func TestAnnouncementsAreThoseOfTheVectors(t *testing.T) {
	text, err := os.ReadFile("testdata/announce.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Vectors []struct {
			Name, Class string
			Frame       string `json:"frame_hex"`
		}
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Vectors) < 3 {
		t.Fatalf("%d vectors, want all", len(file.Vectors))
	}
	for _, v := range file.Vectors {
		want, err := hex.DecodeString(v.Frame)
		if err != nil {
			t.Fatalf("%s: %v", v.Name, err)
		}
		l := link{mac: net.HardwareAddr(want[6:12])}
		var vip netip.Addr
		switch v.Class {
		case "garp":
			vip = netip.AddrFrom4([4]byte(want[28:32]))
		case "na":
			vip, l.forwards = netip.AddrFrom16([16]byte(want[22:38])), want[58]&0x80 != 0
		default:
			t.Fatalf("%s is of class %q", v.Name, v.Class)
		}
		frames, err := announcements(l, vip)
		if err != nil {
			t.Fatalf("%s: %v", v.Name, err)
		}
		if got := hex.EncodeToString(frames[0]); got != v.Frame {
			t.Errorf("%s: made\n%s, want\n%s", v.Name, got, v.Frame)
		}
	}
}

// The second form of gratuitous ARP is an answer to everybody; of IPv6 there is one form.
func TestTheSecondFormIsAnAnswer(t *testing.T) {
	l := link{mac: net.HardwareAddr{2, 0, 0, 0, 0, 0xa}}
	const arp = "ffffffffffff02000000000a0806000108000604000202000000000ac000026402000000000ac0000264"
	for vip, want := range map[string]string{"192.0.2.100": arp, "fe80::100": ""} {
		frames, err := announcements(l, netip.MustParseAddr(vip))
		if err != nil {
			t.Fatal(err)
		}
		if want == "" {
			want = hex.EncodeToString(frames[0])
		}
		if got := hex.EncodeToString(frames[1]); got != want {
			t.Errorf("%s: the second form is %s, want %s", vip, got, want)
		}
	}
}

// The router flag of a neighbour advertisement follows forwarding, and the override flag is always there.
func TestTheRouterFlagFollowsForwarding(t *testing.T) {
	for forwards, want := range map[bool]string{false: "20", true: "a0"} {
		frames, err := announcements(link{mac: net.HardwareAddr{2, 0, 0, 0, 0, 0xa}, forwards: forwards}, netip.MustParseAddr("2001:db8::100"))
		if err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(frames[0][58:59]); got != want || !strings.HasPrefix(hex.EncodeToString(frames[0]), "333300000001") {
			t.Errorf("forwarding %v: the flags are %s, want %s", forwards, got, want)
		}
	}
}
