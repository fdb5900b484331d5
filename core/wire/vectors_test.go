package wire

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"testing"
)

// TestFramesOfTheVectors takes the packets out of whole Ethernet frames, with options, padding and an authentication header, as
// they were captured from others or made from such a capture. Over IPv6 that is the kernel's work.
func TestFramesOfTheVectors(t *testing.T) {
	read := 0
	for _, name := range []string{"v2.json", "v3-ipv4.json", "hmac.json"} {
		text, err := os.ReadFile("../vrrp/testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		var file struct {
			Vectors []struct {
				Name     string
				FrameHex string `json:"frame_hex"`
				VRRPHex  string `json:"vrrp_hex"`
				IP       struct {
					Version  int
					Proto    int
					TTL      uint8
					Src, Dst netip.Addr
				}
			}
		}
		if err := json.Unmarshal(text, &file); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, v := range file.Vectors {
			frame, err := hex.DecodeString(v.FrameHex)
			if err != nil {
				t.Fatalf("%s: %v", v.Name, err)
			}
			want, err := hex.DecodeString(v.VRRPHex)
			if err != nil {
				t.Fatalf("%s: %v", v.Name, err)
			}
			h, payload, err := parse(frame[14:], len(frame)-14)
			switch {
			case v.IP.Version == 6:
				if !errors.Is(err, errVersion) {
					t.Errorf("%s: error %v, want %v", v.Name, err, errVersion)
				}
			case v.IP.Proto != protocolVRRP:
				if !errors.Is(err, errProtocol) {
					t.Errorf("%s: error %v, want %v", v.Name, err, errProtocol)
				}
			case err != nil:
				t.Errorf("%s: %v", v.Name, err)
			case h.Source != v.IP.Src || h.Destination != v.IP.Dst || h.TTL != v.IP.TTL || !bytes.Equal(payload, want):
				t.Errorf("%s: header %+v and payload %x, want %+v and %x", v.Name, h, payload, v.IP, want)
			default:
				read++
			}
		}
	}
	if read < 30 {
		t.Errorf("%d frames were read, want 30 at least", read)
	}
}
