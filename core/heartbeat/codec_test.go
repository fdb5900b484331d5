package heartbeat

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var key = []byte("a key of the pair, 32 bytes long")

// example has every field set, each to another value.
var example = Message{
	Node: "lb1", Boot: 0x0102030405060708, Seq: 9, Echo: 7, EchoDelay: 1500, Version: "1.0", ConfigHash: "abcd",
	Flags: Isolated | HearsYou,
	Instances: []Instance{
		{Name: "web", VRID: 51, State: 2, Holds: true, Priority: 150, Epoch: 3, HearsMaster: true, Source: netip.MustParseAddr("10.77.0.1")},
		{Name: "six", VRID: 52, IPv6: true, State: 1, Priority: 100, Epoch: 4, Claims: true},
	},
	Attributes: []Attribute{{"advert_interval", "1s"}},
}

// golden is example, unsigned, as other releases have to read it.
const golden = "56574201 00 0067" +
	"0102030405060708 0000000000000009 0000000000000007 000005dc 09" +
	"036c6231 03312e30 0461626364" +
	"02 03776562 11 33 06 02 96 0000000000000003 040a4d0001 03736978 0d 34 09 01 64 0000000000000004 00" +
	"01 0f6164766572745f696e74657276616c 023173"

func goldenBytes(t *testing.T) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(golden, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestTheFormIsFixed(t *testing.T) {
	want := goldenBytes(t)
	if got := example.Append(nil, nil); !bytes.Equal(got, want) {
		t.Errorf("Append = %x, want %x", got, want)
	}
	got, err := Decode(want, nil)
	if err != nil || !reflect.DeepEqual(got, example) {
		t.Errorf("Decode = %+v, %v, want %+v", got, err, example)
	}
}

// A former release says nothing of where its adverts come from.
func TestAnInstanceOfAFormerReleaseHasNoSource(t *testing.T) {
	b, err := hex.DecodeString(strings.ReplaceAll("56574201 00 0033 0102030405060708 0000000000000009 0000000000000007 000005dc 09 00 00 00"+
		"01 03776562 0c 33 06 02 96 0000000000000003 00", " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(b, nil)
	want := Instance{Name: "web", VRID: 51, State: 2, Holds: true, Priority: 150, Epoch: 3, HearsMaster: true}
	if err != nil || len(got.Instances) != 1 || got.Instances[0] != want {
		t.Errorf("Decode = %+v, %v, want %+v", got.Instances, err, want)
	}
}

var (
	texts     = rapid.StringN(-1, -1, 300)
	instances = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Instance {
		return Instance{
			Name: texts.Draw(t, "name"), VRID: rapid.Byte().Draw(t, "vrid"), IPv6: rapid.Bool().Draw(t, "ipv6"),
			State: rapid.Byte().Draw(t, "state"), Holds: rapid.Bool().Draw(t, "holds"), Priority: rapid.Byte().Draw(t, "priority"),
			Epoch: rapid.Uint64().Draw(t, "epoch"), HearsMaster: rapid.Bool().Draw(t, "hears"), Claims: rapid.Bool().Draw(t, "claims"),
		}
	}), 0, 300)
	attributes = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Attribute {
		return Attribute{texts.Draw(t, "attribute"), texts.Draw(t, "value")}
	}), 0, 300)
	messages = rapid.Custom(func(t *rapid.T) Message {
		return Message{
			Node: texts.Draw(t, "node"), Version: texts.Draw(t, "version"), ConfigHash: texts.Draw(t, "hash"),
			Boot: rapid.Uint64().Draw(t, "boot"), Seq: rapid.Uint64().Draw(t, "seq"), Echo: rapid.Uint64().Draw(t, "echo"),
			EchoDelay: rapid.Uint32().Draw(t, "delay"), Flags: Flags(rapid.Byte().Draw(t, "flags")),
			Instances: instances.Draw(t, "instances"), Attributes: attributes.Draw(t, "attributes"),
		}
	})
)

// cleaned is the message as it travels.
func cleaned(m Message) Message {
	m.Node, m.Version, m.ConfigHash = clean(m.Node), clean(m.Version), clean(m.ConfigHash)
	m.Instances, m.Attributes = append([]Instance(nil), m.Instances...), append([]Attribute(nil), m.Attributes...)
	for k := range m.Instances {
		m.Instances[k].Name = clean(m.Instances[k].Name)
	}
	for k := range m.Attributes {
		m.Attributes[k] = Attribute{clean(m.Attributes[k].Name), clean(m.Attributes[k].Value)}
	}
	return m
}

// Whatever a node has to say arrives whole, in datagrams that fit.
func TestWhatIsSplitArrivesWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := messages.Draw(t, "message")
		var with []byte
		if rapid.Bool().Draw(t, "signed") {
			with = key
		}
		got := Message{}
		for n, part := range want.Split() {
			b := part.Append(nil, with)
			if len(b) > MaxSize {
				t.Fatalf("part %d has %d bytes", n, len(b))
			}
			m, err := Decode(b, with)
			if err != nil {
				t.Fatalf("part %d: %v", n, err)
			}
			if m.Seq != want.Seq+uint64(n) {
				t.Fatalf("part %d has number %d, want %d", n, m.Seq, want.Seq+uint64(n))
			}
			instances, attributes := append(got.Instances, m.Instances...), append(got.Attributes, m.Attributes...)
			got = m
			got.Seq, got.Instances, got.Attributes = want.Seq, instances, attributes
		}
		if want = cleaned(want); !reflect.DeepEqual(got, want) {
			t.Fatalf("it arrived as %+v, want %+v", got, want)
		}
	})
}

func TestWhatIsLongestFitsAlone(t *testing.T) {
	long := strings.Repeat("x", 1000)
	m := Message{Node: long, Version: long, ConfigHash: long, Instances: []Instance{{Name: long}}, Attributes: []Attribute{{long, long}}}
	parts := m.Split()
	if len(parts) != 2 || len(parts[0].Instances) != 1 || len(parts[1].Attributes) != 1 {
		t.Errorf("%d parts", len(parts))
	}
}

func TestWhatDoesNotFitIsLeftOut(t *testing.T) {
	m := example
	m.Instances = make([]Instance, 1000)
	b := m.Append(nil, key)
	got, err := Decode(b, key)
	if err != nil || len(b) > MaxSize || len(got.Instances) == 0 {
		t.Errorf("%d bytes with %d instances, %v", len(b), len(got.Instances), err)
	}
}

func TestDatagramsAreDiscardedForAReason(t *testing.T) {
	plain, signed := example.Append(nil, nil), example.Append(nil, key)
	other := []byte("another key of 32 bytes and more")
	edit := func(b []byte, at int, v byte) []byte {
		b = bytes.Clone(b)
		b[at] = v
		return b
	}
	for _, c := range []struct {
		name string
		b    []byte
		key  []byte
		want Reason
	}{
		{"empty", nil, nil, ReasonMagic},
		{"of somebody else", []byte("GET / HTTP/1.1\r\n"), nil, ReasonMagic},
		{"of a later form", edit(plain, 3, 2), nil, ReasonVersion},
		{"cut", plain[:len(plain)-1], nil, ReasonLength},
		{"with something behind", append(bytes.Clone(plain), 0), nil, ReasonLength},
		{"with a flag of a later form", edit(plain, 4, 2), nil, ReasonLength},
		{"more attributes than there are", edit(plain, len(plain)-20, 9), nil, ReasonLength},
		{"a line break in the name", edit(plain, headLen+fixedLen+1, '\n'), nil, ReasonText},
		{"unsigned where there is a key", plain, key, ReasonUnsigned},
		{"signed where there is none", signed, nil, ReasonSigned},
		{"signed with another key", signed, other, ReasonSignature},
		{"changed on the way", edit(signed, 20, 1), key, ReasonSignature},
		{"the signature changed", edit(signed, len(signed)-1, signed[len(signed)-1]+1), key, ReasonSignature},
		{"stripped of its signature", edit(signed[:len(plain)], 4, 0), key, ReasonUnsigned},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Decode(c.b, c.key)
			var d *Discard
			if !errors.As(err, &d) || d.Reason != c.want {
				t.Errorf("Decode: %v, want reason %q", err, c.want)
			}
		})
	}
}

func TestEveryReasonIsExplained(t *testing.T) {
	for _, r := range Reasons() {
		if text := (&Discard{r}).Error(); r.explain() == string(r) || !strings.Contains(text, fmt.Sprintf("(%s)", r)) {
			t.Errorf("%s is told as %q", r, text)
		}
	}
}

// A later release adds fields at the end of the body and of each instance.
func TestFieldsOfALaterReleaseArePassedOver(t *testing.T) {
	b := append(goldenBytes(t), "something new"...)
	at := bytes.Index(b, []byte("web")) + 3 // the length of the rest
	end := example.Instances[0].restLen()
	b = append(append(bytes.Clone(b[:at+1+end]), 0xaa, 0xbb), b[at+1+end:]...)
	b[at] += 2
	binary.BigEndian.PutUint16(b[5:], uint16(len(b)-headLen))
	got, err := Decode(b, nil)
	if err != nil || !reflect.DeepEqual(got, example) {
		t.Errorf("Decode = %+v, %v, want %+v", got, err, example)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(example.Append(nil, nil), false)
	f.Add(example.Append(nil, key), true)
	f.Add(Message{}.Append(nil, nil), false)
	f.Add([]byte("VWB\x01\x00\xff\xff"), false)
	f.Fuzz(func(t *testing.T, b []byte, signed bool) {
		var with []byte
		if signed {
			with = key
		}
		m, err := Decode(b, with)
		if err != nil {
			return
		}
		again, err := Decode(m.Append(nil, with), with)
		if err != nil || !reflect.DeepEqual(again, m) {
			t.Errorf("%+v came back as %+v, %v", m, again, err)
		}
	})
}
