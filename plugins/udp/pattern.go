package udp

import (
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// pattern is a sequence of bytes of which some bits do not matter.
type pattern []masked

// masked is a byte and which of its bits count.
type masked struct{ value, mask byte }

// literal is the pattern of a text, in which each bit counts.
func literal(s string) pattern {
	var p pattern
	for i := range len(s) {
		p = append(p, masked{s[i], 0xff})
	}
	return p
}

// parseHex reads hex digits as keepalived's UDP_CHECK does: a byte has two, a digit alone between spaces is a byte, too, and an x
// stands for four bits that do not matter.
func parseHex(s string) (pattern, error) {
	var p pattern
	for _, word := range strings.Fields(s) {
		for len(word) > 0 {
			n := min(2, len(word))
			b, err := parseByte(word[:n])
			if err != nil {
				return nil, fmt.Errorf("%q: %w", s, err)
			}
			p = append(p, b)
			word = word[n:]
		}
	}
	return p, nil
}

// parseByte reads one or two digits.
func parseByte(digits string) (masked, error) {
	if len(digits) == 1 {
		digits = "0" + digits
	}
	var b masked
	for _, d := range []byte(digits) {
		b.value, b.mask = b.value<<4, b.mask<<4
		if d == 'x' || d == 'X' {
			continue
		}
		n := strings.IndexByte("0123456789abcdef", lower(d))
		if n < 0 {
			return b, fmt.Errorf("%q is no hex digit", rune(d))
		}
		b.value, b.mask = b.value|byte(n), b.mask|0x0f
	}
	return b, nil
}

func lower(d byte) byte {
	if 'A' <= d && d <= 'F' {
		return d - 'A' + 'a'
	}
	return d
}

// wild tells whether there are bits that do not matter.
func (p pattern) wild() bool {
	for _, b := range p {
		if b.mask != 0xff {
			return true
		}
	}
	return false
}

// bytes are the bytes of a pattern in which each bit counts.
func (p pattern) bytes() []byte {
	var out []byte
	for _, b := range p {
		out = append(out, b.value)
	}
	return out
}

// matches compares as much as both have.
func (p pattern) matches(b []byte) bool {
	for i := range min(len(p), len(b)) {
		if b[i]&p[i].mask != p[i].value {
			return false
		}
	}
	return true
}

// String is the pattern for a reason: as text where it is one, else in hex.
func (p pattern) String() string {
	if p.wild() {
		return p.digits()
	}
	return excerpt(p.bytes())
}

// digits is the pattern in hex, with an x for what does not matter.
func (p pattern) digits() string {
	var b strings.Builder
	for _, m := range p {
		for shift := 4; shift >= 0; shift -= 4 {
			if m.mask>>shift&0x0f == 0 {
				b.WriteByte('x')
			} else {
				fmt.Fprintf(&b, "%x", m.value>>shift&0x0f)
			}
		}
	}
	return b.String()
}

// excerpt is the beginning of some bytes for a reason: text in quotes, anything else in hex.
func excerpt(b []byte) string {
	const most = 32
	more := ""
	if len(b) > most {
		b, more = b[:most], "…"
	}
	if isText(b) {
		return fmt.Sprintf("%q%s", b, more)
	}
	return hex.EncodeToString(b) + more
}

// isText tells whether people can read it.
func isText(b []byte) bool {
	for _, r := range string(b) {
		if r == utf8.RuneError || !unicode.IsPrint(r) && !unicode.IsSpace(r) {
			return false
		}
	}
	return true
}
