package heartbeat

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"
)

// MaxSize of a message in bytes: one datagram that passes every network unfragmented, tunnels included. A message with one instance
// or one attribute always fits.
const MaxSize = 1400

// Port is the UDP port of heartbeats, from the range that is free to use (RFC 6335 section 6).
const Port = 51120

// The form. Numbers are big-endian, a text is one byte of length and UTF-8.
//
//	0-2    "VWB"
//	3      1, the version of the form
//	4      1 where a signature follows the body, else 0
//	5-6    length of the body
//	7-     body: Boot, Seq, Echo (8 bytes each), EchoDelay (4), Flags (1), Node, Version, ConfigHash (texts); the number of
//	       instances (1), each a text, the length of its rest (1) and the rest; the number of attributes (1), each two texts
//	last   the HMAC-SHA256 of all before, 32 bytes, where it is signed
//
// What follows the attributes in the body, and what follows the known fields in the rest of an instance, is of a later release and
// passed over. A form that cannot be read that way gets another version.
const (
	magic       = "VWB"
	formVersion = 1
	headLen     = 7
	fixedLen    = 8 + 8 + 8 + 4 + 1
	restLen     = 1 + 1 + 1 + 1 + 8 + 1 // of an instance: VRID, flags, state, priority, epoch, length of the source that follows
	maxText     = 255                   // bytes
	maxItems    = 255                   // instances, and attributes, of one message
)

// The flags of an instance on the wire.
const (
	flagIPv6 = 1 << iota
	flagHolds
	flagHearsMaster
	flagClaims
)

// Append appends the message to b, signed where there is a key. Texts are cut to 255 bytes, and what is not printable in them is
// replaced; instances and attributes that do not fit [MaxSize] are left out: see [Message.Split].
func (m Message) Append(b, key []byte) []byte {
	instances, attributes := m.fit()
	start := len(b)
	b = append(append(b, magic...), formVersion, 0, 0, 0)
	b = m.appendHead(b)
	b = append(b, byte(instances))
	for _, i := range m.Instances[:instances] {
		b = i.append(b)
	}
	b = append(b, byte(attributes))
	for _, a := range m.Attributes[:attributes] {
		b = appendText(appendText(b, a.Name), a.Value)
	}
	binary.BigEndian.PutUint16(b[start+5:], uint16(len(b)-start-headLen))
	if len(key) == 0 {
		return b
	}
	b[start+4] = 1
	return append(b, sign(b[start:], key)...)
}

// Split shares the instances and attributes out over messages that fit [MaxSize], at least one. They are numbered from m.Seq on.
func (m Message) Split() []Message {
	var parts []Message
	for {
		part := m
		instances, attributes := m.fit()
		part.Instances, part.Attributes = m.Instances[:instances], m.Attributes[:attributes]
		parts = append(parts, part)
		m.Instances, m.Attributes = m.Instances[instances:], m.Attributes[attributes:]
		if len(m.Instances)+len(m.Attributes) == 0 {
			return parts
		}
		m.Seq++
	}
}

// fit tells how many of the instances, and then of the attributes, one signed message has room for.
func (m Message) fit() (instances, attributes int) {
	room := MaxSize - headLen - fixedLen - textLen(m.Node) - textLen(m.Version) - textLen(m.ConfigHash) - 2 - sha256.Size
	for _, i := range m.Instances {
		if room -= textLen(i.Name) + 1 + i.restLen(); room < 0 || instances == maxItems {
			return instances, 0
		}
		instances++
	}
	for _, a := range m.Attributes {
		if room -= textLen(a.Name) + textLen(a.Value); room < 0 || attributes == maxItems {
			return instances, attributes
		}
		attributes++
	}
	return instances, attributes
}

func (m Message) appendHead(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, m.Boot)
	b = binary.BigEndian.AppendUint64(b, m.Seq)
	b = binary.BigEndian.AppendUint64(b, m.Echo)
	b = binary.BigEndian.AppendUint32(b, m.EchoDelay)
	b = append(b, byte(m.Flags))
	return appendText(appendText(appendText(b, m.Node), m.Version), m.ConfigHash)
}

func (i Instance) append(b []byte) []byte {
	var flags byte
	for _, f := range []struct {
		set bool
		bit byte
	}{{i.IPv6, flagIPv6}, {i.Holds, flagHolds}, {i.HearsMaster, flagHearsMaster}, {i.Claims, flagClaims}} {
		if f.set {
			flags |= f.bit
		}
	}
	b = append(appendText(b, i.Name), byte(i.restLen()), i.VRID, flags, i.State, i.Priority)
	b = binary.BigEndian.AppendUint64(b, i.Epoch)
	source := i.Source.AsSlice()
	return append(append(b, byte(len(source))), source...)
}

func (i Instance) restLen() int { return restLen + i.Source.BitLen()/8 }

func appendText(b []byte, s string) []byte {
	s = clean(s)
	return append(append(b, byte(len(s))), s...)
}

func textLen(s string) int { return 1 + len(clean(s)) }

// clean is the text as it travels: printable, and at most maxText bytes.
func clean(s string) string {
	if !readable(s) {
		s = strings.Map(func(r rune) rune {
			if strconv.IsPrint(r) {
				return r
			}
			return utf8.RuneError
		}, s)
	}
	if len(s) <= maxText {
		return s
	}
	end := maxText
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}

// readable tells whether a text can stand in a log.
func readable(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if !strconv.IsPrint(r) {
			return false
		}
	}
	return true
}

func sign(b, key []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(b)
	return h.Sum(nil)
}

// Decode reads one datagram. With a key it must be signed with it, and without one it must not be signed. The error is a [*Discard].
func Decode(payload, key []byte) (Message, error) {
	body, err := open(payload, key)
	if err != nil {
		return Message{}, err
	}
	r := &reader{left: body}
	m := Message{
		Boot: r.number(8), Seq: r.number(8), Echo: r.number(8), EchoDelay: uint32(r.number(4)), Flags: Flags(r.number(1)),
		Node: r.text(), Version: r.text(), ConfigHash: r.text(),
	}
	for range r.number(1) {
		m.Instances = append(m.Instances, r.instance())
	}
	for range r.number(1) {
		m.Attributes = append(m.Attributes, Attribute{Name: r.text(), Value: r.text()})
	}
	if r.why != "" {
		return Message{}, &Discard{r.why}
	}
	return m, nil
}

// open checks the frame and the signature of a datagram, and gives its body.
func open(b, key []byte) ([]byte, error) {
	if len(b) < headLen || string(b[:3]) != magic {
		return nil, &Discard{ReasonMagic}
	}
	signed, end := b[4] == 1, headLen+int(binary.BigEndian.Uint16(b[5:]))
	size := end
	if signed {
		size += sha256.Size
	}
	switch {
	case b[3] != formVersion:
		return nil, &Discard{ReasonVersion}
	case b[4] > 1 || len(b) != size || size > MaxSize:
		return nil, &Discard{ReasonLength}
	case signed && len(key) == 0:
		return nil, &Discard{ReasonSigned}
	case !signed && len(key) > 0:
		return nil, &Discard{ReasonUnsigned}
	case signed && !hmac.Equal(sign(b[:end], key), b[end:]):
		return nil, &Discard{ReasonSignature}
	}
	return b[headLen:end], nil
}

// reader takes fields off the front. After the first that is not there, or is no text, it gives zeros and knows why.
type reader struct {
	left []byte
	why  Reason
}

func (r *reader) fail(why Reason) {
	r.left = nil
	if r.why == "" {
		r.why = why
	}
}

func (r *reader) bytes(n int) []byte {
	if n > len(r.left) {
		r.fail(ReasonLength)
		return nil
	}
	b := r.left[:n]
	r.left = r.left[n:]
	return b
}

func (r *reader) number(size int) (v uint64) {
	for _, b := range r.bytes(size) {
		v = v<<8 | uint64(b)
	}
	return v
}

func (r *reader) text() string {
	s := string(r.bytes(int(r.number(1))))
	if !readable(s) {
		r.fail(ReasonText)
	}
	return s
}

func (r *reader) instance() Instance {
	name := r.text()
	rest := &reader{left: r.bytes(int(r.number(1)))}
	i := Instance{Name: name, VRID: uint8(rest.number(1))}
	flags := rest.number(1)
	i.IPv6, i.Holds, i.HearsMaster, i.Claims = flags&flagIPv6 != 0, flags&flagHolds != 0, flags&flagHearsMaster != 0, flags&flagClaims != 0
	i.State, i.Priority, i.Epoch = uint8(rest.number(1)), uint8(rest.number(1)), rest.number(8)
	if rest.why == "" && len(rest.left) > 0 { // a former release says no more
		i.Source, _ = netip.AddrFromSlice(rest.bytes(int(rest.number(1))))
	}
	if rest.why != "" {
		r.fail(rest.why)
	}
	return i
}
