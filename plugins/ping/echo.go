package ping

import (
	"crypto/rand"
	"encoding/binary"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// header is the length of the header of an echo message, in bytes.
const header = 8

// echoes are the messages of one run. Their data begins with a number of the run's own, by which its replies are known: on a
// datagram socket the kernel sets the identifier, and a raw socket sees the replies to everybody.
type echoes struct {
	v6   bool
	id   uint16
	data []byte
}

// newEchoes makes up the messages of a run, with size bytes of data, at least 8.
func newEchoes(v6 bool, size int) echoes {
	e := echoes{v6: v6, data: make([]byte, size)}
	_, _ = rand.Read(e.data[:8]) // never fails, as its documentation says
	for i := 8; i < size; i++ {
		e.data[i] = byte(i)
	}
	e.id = binary.BigEndian.Uint16(e.data)
	return e
}

// request is the message number seq. The checksum over IPv6 is the kernel's to fill in.
func (e echoes) request(seq int) ([]byte, error) {
	m := icmp.Message{Type: ipv4.ICMPTypeEcho, Body: &icmp.Echo{ID: int(e.id), Seq: seq, Data: e.data}}
	if e.v6 {
		m.Type = ipv6.ICMPTypeEchoRequest
	}
	return m.Marshal(nil)
}

// answers tells which request of the run a message is the reply to, if any.
func (e echoes) answers(message []byte) (seq int, ok bool) {
	protocol, reply := 1, icmp.Type(ipv4.ICMPTypeEchoReply)
	if e.v6 {
		protocol, reply = 58, ipv6.ICMPTypeEchoReply
	}
	m, err := icmp.ParseMessage(protocol, message)
	if err != nil || m.Type != reply {
		return 0, false
	}
	echo, ok := m.Body.(*icmp.Echo)
	if !ok || string(echo.Data) != string(e.data) {
		return 0, false
	}
	return echo.Seq, true
}
