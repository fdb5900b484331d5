package vrrp

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"
)

// The trailer that authenticates an advert, in the form of keepalived from 2.4.2 on (draft-cassen-vrrp-auth-hmac): 28 bytes
// behind the message, known by their length alone.
//
//	0      1, for HMAC-SHA256 cut to 128 bits
//	1      key identifier, 1 to 255
//	2, 3   0
//	4-7    seconds since 1970; 8, 9 fractions of 1/65536 s; 10, 11 a counter: together the sequence number
//	12-27  the first 16 bytes of the digest
const (
	trailerLen = 28
	trailerMAC = 12 // where the digest begins
	hmacSHA256 = 1
)

// Secret is the key of a digest. It never prints.
type Secret string

// Format prints that there is a secret, and not the secret.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("(secret)")) }

// MarshalText is for encoders, and says as little.
func (s Secret) MarshalText() ([]byte, error) { return []byte("(secret)"), nil }

// Key is one shared key of the routers of a VRID.
type Key struct {
	// ID is its identifier on the wire, 1 to 255; 0 for no key.
	ID uint8
	// Secret has 32 to 64 bytes.
	Secret Secret
}

// AuthMode is how far the introduction of keys has come. On a running pair every node goes through all of them: receive-only
// on all nodes, then permissive on all, then enforce.
type AuthMode uint8

// The modes. In each of them a signature that is wrong has its advert discarded.
const (
	// AuthEnforce signs, and discards what is not signed. It is the default.
	AuthEnforce AuthMode = iota
	// AuthPermissive signs, and accepts what is not signed.
	AuthPermissive
	// AuthReceiveOnly does not sign, and accepts what is not signed.
	AuthReceiveOnly
)

// Auth authenticates adverts of both versions by a keyed digest. The zero value is none.
type Auth struct {
	// Keys are those that are accepted; adverts are signed with the first. Empty for no authentication.
	Keys []Key
	// Mode is how strict it is.
	Mode AuthMode
	// Window is how far the clocks of two nodes may be apart, 1 s to 300 s; 0 for the default, which is three intervals and
	// at least 5 s.
	Window time.Duration
}

func (a Auth) enabled() bool { return len(a.Keys) > 0 }

// signs tells the key that adverts are signed with; the zero Key for none.
func (a Auth) signs() Key {
	if !a.enabled() || a.Mode == AuthReceiveOnly {
		return Key{}
	}
	return a.Keys[0]
}

func (a Auth) key(id uint8) (Key, bool) {
	for _, k := range a.Keys {
		if k.ID == id {
			return k, true
		}
	}
	return Key{}, false
}

// window is the time window of the configuration.
func (c Config) window() time.Duration {
	if c.Auth.Window > 0 {
		return c.Auth.Window
	}
	return max(3*c.Interval, 5*time.Second)
}

// Sequence numbers the adverts of one sender: seconds since 1970 in the upper 32 bits, 1/65536 s in 16, a counter in 16.
type Sequence uint64

// sequenceAt is the number of an instant, by the wall clock.
func sequenceAt(t time.Time) Sequence {
	// The seconds wrap in 2106, as the format has it; a nanosecond of the second is below 2^30.
	return Sequence(uint64(uint32(t.Unix()))<<32 | uint64(t.Nanosecond())<<16/uint64(time.Second)<<16)
}

// sequenceOf is the number in a trailer.
func sequenceOf(trailer []byte) Sequence { return Sequence(binary.BigEndian.Uint64(trailer[4:])) }

// after compares as serial numbers, so that the wrap of 2106 does no harm.
func (s Sequence) after(o Sequence) bool { return int64(s-o) > 0 }

// ahead is how far the sender's clock is ahead of now, negative where it is behind. The fraction of the sender counts.
func (s Sequence) ahead(now time.Time) time.Duration {
	d := int64(s - sequenceAt(now)) // wraps, as serial numbers do
	return time.Duration(d>>32)*time.Second + time.Duration(uint64(d)&0xffffffff)*time.Second>>32
}

// hasTrailer tells whether so many bytes behind the message can be a trailer.
func hasTrailer(b []byte) bool { return len(b) == trailerLen && b[0] == hmacSHA256 }

// appendTrailer signs the message, whose checksum is still 0.
func appendTrailer(message []byte, src netip.Addr, k Key, seq Sequence) []byte {
	b := append(message, hmacSHA256, k.ID, 0, 0)
	b = binary.BigEndian.AppendUint64(b, uint64(seq))
	return append(b, digest(message, b[len(message):], src, k)...)
}

// digest covers a pseudo-header (family, version, VRID, 0, source), the message with the checksum taken as 0, and the trailer
// with its digest taken as 0.
func digest(message, trailer []byte, src netip.Addr, k Key) []byte {
	var head [20 + headerLen]byte
	head[0], head[1], head[2] = 6, message[0]>>4, message[1]
	if src.Is4() {
		head[0] = 4
	}
	copy(head[4:20], src.AsSlice())
	copy(head[20:], message[:headerLen])
	head[26], head[27] = 0, 0
	var tail [trailerLen]byte
	copy(tail[:], trailer[:trailerMAC])
	h := hmac.New(sha256.New, []byte(k.Secret))
	h.Write(head[:])
	h.Write(message[headerLen:])
	h.Write(tail[:])
	return h.Sum(nil)[:trailerLen-trailerMAC]
}

// authentic tells whether the trailer was made with the key.
func authentic(message, trailer []byte, src netip.Addr, k Key) bool {
	return hmac.Equal(digest(message, trailer, src, k), trailer[trailerMAC:])
}
