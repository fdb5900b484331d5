package dns

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"

	"github.com/vipward/vipward/sdk"
)

// maxDatagram is how long an answer by UDP may be, in bytes. A query without EDNS, as ours, allows 512.
const maxDatagram = 4096

// session is one query to one server.
type session struct {
	target  sdk.Target
	address string
	query   query
}

// ask connects by UDP or TCP, sends the query with a number of its own, and reads the answer.
func (s session) ask(ctx context.Context, protocol string) (answer, error) {
	id := uint16(rand.Uint32())
	message, err := s.query.pack(id)
	if err != nil {
		return answer{}, err
	}
	conn, err := s.target.DialContext(ctx, protocol, s.address)
	if err != nil {
		return answer{}, err
	}
	defer conn.Close()
	if protocol == "tcp" {
		return s.byTCP(conn, id, message)
	}
	return s.byUDP(conn, id, message)
}

// byUDP waits for an answer that fits the query. Others may come from anybody who forges the server's address, and do not count.
func (s session) byUDP(conn net.Conn, id uint16, message []byte) (answer, error) {
	if _, err := conn.Write(message); err != nil {
		return answer{}, err
	}
	buf := make([]byte, maxDatagram)
	var strange error
	for {
		n, err := conn.Read(buf)
		if err != nil && strange != nil {
			return answer{}, fmt.Errorf("no answer in time, but %w", strange)
		}
		if err != nil {
			return answer{}, err
		}
		a, err := s.query.answer(id, buf[:n])
		if err == nil {
			return a, nil
		}
		strange = err
	}
}

// byTCP sends and reads one message with its length before it (RFC 1035 4.2.2).
func (s session) byTCP(conn net.Conn, id uint16, message []byte) (answer, error) {
	if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(message))), message...)); err != nil {
		return answer{}, err
	}
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return answer{}, err
	}
	buf := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(conn, buf); err != nil {
		return answer{}, err
	}
	a, err := s.query.answer(id, buf)
	if err == nil && a.truncated {
		return a, errors.New("the answer is truncated")
	}
	return a, err
}
