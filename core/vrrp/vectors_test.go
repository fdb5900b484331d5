package vrrp

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// vector is one packet of testdata: captured from keepalived or FRR, or made from such a capture.
type vector struct {
	Name     string `json:"name"`
	Valid    bool   `json:"valid"`
	Why      string `json:"why"`
	VRRP     string `json:"vrrp_hex"`
	Receiver struct {
		Version  uint8        `json:"version"`
		VRID     uint8        `json:"vrid"`
		Centi    int          `json:"adver_int_cs"`
		VIPs     []netip.Addr `json:"vips"`
		Password string       `json:"auth_pass"`
		Checksum string       `json:"checksum"`
		KeyID    uint8        `json:"key_id"`
		KeyHex   string       `json:"key_hex"`
		Window   int          `json:"time_window_s"`
		Mark     []uint64     `json:"replay_high_water"`
	} `json:"receiver"`
	IP struct {
		TTL      uint8      `json:"ttl"`
		HopLimit uint8      `json:"hop_limit"`
		Src      netip.Addr `json:"src"`
		Dst      netip.Addr `json:"dst"`
	} `json:"ip"`
	// Clock is the receiver's, in seconds since 1970.
	Clock  int64 `json:"clock_unix"`
	Fields *struct {
		Version   uint8        `json:"version"`
		VRID      uint8        `json:"vrid"`
		Priority  uint8        `json:"priority"`
		AuthType  uint8        `json:"auth_type"`
		Seconds   int          `json:"adver_int_s"`
		Centi     int          `json:"max_adver_int_cs"`
		Addresses []netip.Addr `json:"addresses"`
	} `json:"fields"`
}

func (v vector) header() Header {
	return Header{Source: v.IP.Src, Destination: v.IP.Dst, TTL: max(v.IP.TTL, v.IP.HopLimit)}
}

func (v vector) payload(t testing.TB) []byte {
	b, err := hex.DecodeString(v.VRRP)
	if err != nil {
		t.Fatalf("%s: %v", v.Name, err)
	}
	return b
}

func (v vector) config() Config {
	rules := map[string]ChecksumRule{"rfc9568": ChecksumRFC9568, "rfc5798-pseudo": ChecksumPseudo}
	c := Config{
		VRID: v.Receiver.VRID, Version: v.Receiver.Version, Priority: 100, Preempt: true,
		Interval: time.Duration(v.Receiver.Centi) * centi, Addresses: v.Receiver.VIPs, Password: v.Receiver.Password,
		Checksum: rules[v.Receiver.Checksum], Source: netip.MustParseAddr("192.0.2.2"),
		// The verdicts on version 2 are those of RFC 3768, those on version 3 of RFC 9568, which never discards for the list, but
		// over IPv6 for its first address.
		StrictAddresses: v.Receiver.Version == 2 || v.IP.Src.Is6(),
		Auth:            Auth{Window: time.Duration(v.Receiver.Window) * time.Second},
	}
	if v.IP.Src.Is6() {
		c.Source = netip.MustParseAddr("fe80::2")
	}
	if v.Receiver.KeyID != 0 {
		c.Auth.Keys = []Key{v.key()}
	}
	return c
}

// key is that of the vector.
func (v vector) key() Key {
	secret, err := hex.DecodeString(v.Receiver.KeyHex)
	if err != nil {
		panic(err)
	}
	return Key{v.Receiver.KeyID, Secret(secret)}
}

// now is the receiver's clock.
func (v vector) now() time.Time {
	if v.Clock == 0 {
		return epoch
	}
	return time.Unix(v.Clock, 0)
}

// marks are what the receiver knows of the sender.
func (v vector) marks() []Mark {
	m := v.Receiver.Mark
	if len(m) != 3 {
		return nil
	}
	return []Mark{{v.IP.Src, Sequence(m[0]<<32 | m[1]<<16 | m[2])}}
}

func vectors(t testing.TB) (all []vector) {
	for _, name := range []string{"v2.json", "v3-ipv4.json", "v3-ipv6.json", "hmac.json"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		var file struct{ Vectors []vector }
		if err := json.Unmarshal(b, &file); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all = append(all, file.Vectors...)
	}
	return all
}

// reasons are those of the vectors that are not valid, and of one that is.
var reasons = map[string]Reason{
	"v2-bad-checksum":                   ReasonChecksum,
	"v2-ttl-254":                        ReasonTTL,
	"v2-auth-type-1-unexpected":         ReasonAuthType,
	"v2-pass-wrong":                     ReasonAuth,
	"v2-addr-list-mismatch":             ReasonAddresses,
	"v2-ah":                             ReasonAuthType, // differs: an authentication header is not supported
	"v3-pseudo-sum-at-rfc9568-receiver": ReasonChecksum,
	"v3-bad-checksum":                   ReasonChecksum,
	"v3-ttl-1":                          ReasonTTL,
	"v3-version-4":                      ReasonVersion,
	"v2-at-v3-receiver":                 ReasonVersion,
	"v3-type-2":                         ReasonType,
	"v3-trailing-bytes":                 ReasonLength,
	"v3-empty-payload":                  ReasonLength,
	"v3-count-0":                        ReasonCount,
	"v3-interval-0":                     ReasonInterval,
	"v3-vrid-mismatch":                  ReasonVRID,
	"frr-v3-ipv6-global-first":          ReasonAddresses,
	"v6-hoplimit-64":                    ReasonTTL,
	"v6-first-addr-global":              ReasonAddresses,
	"hmac-tampered-priority":            ReasonAuth,
	"hmac-stale":                        ReasonAuthStale,
	"hmac-unknown-key":                  ReasonAuthKey,
	"hmac-missing-trailer":              ReasonAuthMissing,
	"hmac-replay":                       ReasonAuthReplay,
}

func TestRouterJudgesEveryVector(t *testing.T) {
	for _, v := range vectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			r := NewRouter(v.config())
			r.Remember(v.marks())
			r.Step(v.now(), Start{})
			r.Step(v.now(), Received{Header: v.header(), Payload: v.payload(t)})
			want, got := reasons[v.Name], r.Counters()
			if v.Valid == (want != "") && v.Name != "v2-ah" {
				t.Fatalf("the vector says valid=%v (%s), this test expects %q", v.Valid, v.Why, want)
			}
			if want == "" && (got.Received != 1 || len(got.Discarded) != 0) {
				t.Errorf("received %d, discarded %v; want it accepted: %s", got.Received, got.Discarded, v.Why)
			}
			if want != "" && (got.Received != 0 || got.Discarded[want] != 1) {
				t.Errorf("received %d, discarded %v; want %q: %s", got.Received, got.Discarded, want, v.Why)
			}
		})
	}
}

// unread are the vectors that are no messages: their bytes cannot be read, or, of the key that is not known, not written.
var unread = map[string]Reason{
	"v2-bad-checksum":        ReasonChecksum,
	"v3-bad-checksum":        ReasonChecksum,
	"v3-version-4":           ReasonVersion,
	"v3-type-2":              ReasonType,
	"v3-trailing-bytes":      ReasonLength,
	"v3-empty-payload":       ReasonLength,
	"v3-count-0":             ReasonCount,
	"v3-interval-0":          ReasonInterval,
	"hmac-missing-trailer":   ReasonAuthMissing,
	"hmac-tampered-priority": ReasonAuth,
	"hmac-unknown-key":       ReasonAuthKey,
	"hmac-stale":             ReasonAuthStale,
	"hmac-replay":            ReasonAuthReplay,
}

// TestVectorsAreReadAndWrittenToTheByte reads each vector, valid or not, and writes what was read.
func TestVectorsAreReadAndWrittenToTheByte(t *testing.T) {
	for _, v := range vectors(t) {
		r := NewRouter(v.config())
		r.Remember(v.marks())
		a, reason := r.check(v.now(), v.header(), v.payload(t))
		if reason != "" && v.Receiver.KeyID == 0 { // what the configuration refuses is read as well
			var d *Discard
			var err error
			if a, err = Parse(v.header(), v.payload(t)); errors.As(err, &d) {
				reason = d.Reason
			} else {
				reason = ""
			}
		}
		if want := unread[v.Name]; reason != want {
			t.Errorf("%s: read with %q, want %q", v.Name, reason, want)
		}
		if reason != "" {
			continue
		}
		if a.Key.ID != 0 {
			a.Key = v.key()
		}
		f := v.Fields
		interval := time.Duration(f.Seconds)*time.Second + time.Duration(f.Centi)*centi
		if a.Version != f.Version || a.VRID != f.VRID || a.Priority != f.Priority || a.AuthType != f.AuthType || a.Interval != interval {
			t.Errorf("%s: Parse = %+v, want %+v", v.Name, a, *f)
		}
		if !slices.Equal(a.Addresses, f.Addresses) {
			t.Errorf("%s: addresses %v, want %v", v.Name, a.Addresses, f.Addresses)
		}
		if got := a.Append(nil, v.header().Source, v.header().Destination); !bytes.Equal(got, v.payload(t)) {
			t.Errorf("%s: Append = %x, want %s", v.Name, got, v.VRRP)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, v := range vectors(f) {
		h := v.header()
		f.Add(h.Source.AsSlice(), h.Destination.AsSlice(), v.payload(f))
	}
	v6 := Advert{Version: 3, VRID: 7, Priority: 100, Interval: time.Second, Addresses: []netip.Addr{netip.MustParseAddr("fe80::1")}}
	src, dst := netip.MustParseAddr("fe80::2"), netip.MustParseAddr("ff02::12")
	f.Add(src.AsSlice(), dst.AsSlice(), v6.Append(nil, src, dst))
	f.Fuzz(func(t *testing.T, from, to, b []byte) {
		src, ok := netip.AddrFromSlice(from)
		dst, ok2 := netip.AddrFromSlice(to)
		if !ok || !ok2 || src.Is4() != dst.Is4() {
			t.Skip("no packet has such addresses")
		}
		h := Header{src, dst, 255}
		a, err := Parse(h, b)
		if err != nil {
			return
		}
		if len(a.Addresses) > len(b)/4 || len(a.Addresses) == 0 {
			t.Fatalf("%d addresses in %d bytes", len(a.Addresses), len(b))
		}
		again, err := Parse(h, a.Append(nil, src, dst))
		if err != nil || again.Interval != a.Interval || !slices.Equal(again.Addresses, a.Addresses) {
			t.Fatalf("%+v does not survive Append: %+v, %v", a, again, err)
		}
	})
}
