package ping

import (
	"context"
	"errors"
	"net"
	"os"
	"time"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/access"
)

// maxTroubles is how many errors of its socket a run bears with: one for each request, and some more.
const maxTroubles = 200

// maxIPHeader is the longest header of IPv4, in bytes, which a raw socket gets with each message.
const maxIPHeader = 60

// round is what came of one run.
type round struct {
	sent    int
	trips   []time.Duration // of the requests that were answered
	trouble error           // the last that the network told, as "no route to host"; nil for none
}

// why is the reason for a loss.
func (r round) why() string {
	if r.trouble != nil {
		return access.Words(r.trouble)
	}
	return "no answer in time"
}

// average is 0 where nothing came back.
func (r round) average() time.Duration {
	if len(r.trips) == 0 {
		return 0
	}
	var sum time.Duration
	for _, t := range r.trips {
		sum += t
	}
	return sum / time.Duration(len(r.trips))
}

func (r round) longest() time.Duration {
	var most time.Duration
	for _, t := range r.trips {
		most = max(most, t)
	}
	return most
}

// socket sends to one address and takes what comes from there.
type socket struct {
	conn interface {
		net.Conn
		net.PacketConn
	}
}

// exchange sends count requests with a gap between them and collects the replies, until all of them are there, or the network
// has said of the missing ones that they will not come, or ctx ends. Its error is that nothing could be sent at all.
func (s socket) exchange(ctx context.Context, e echoes, count int, gap time.Duration) (round, error) {
	end, ok := ctx.Deadline()
	if !ok {
		end = time.Now().Add(time.Minute)
	}
	var r round
	waiting, troubles := map[int]time.Time{}, 0
	buf := make([]byte, maxIPHeader+header+len(e.data))
	next := time.Now()
	for ctx.Err() == nil && time.Now().Before(end) && (r.sent < count || len(waiting) > troubles) && troubles < maxTroubles {
		if r.sent < count && !time.Now().Before(next) {
			waiting[r.sent] = time.Now()
			told, err := s.send(e, r.sent)
			if err != nil {
				return r, err
			}
			for _, trouble := range told {
				r.trouble = trouble
				troubles++
			}
			r.sent++
			next = next.Add(gap)
			continue
		}
		until := end
		if r.sent < count && next.Before(end) {
			until = next
		}
		seq, answered, err := s.receive(e, buf, until)
		began, known := waiting[seq]
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
		case err != nil:
			r.trouble = err
			troubles++
		case answered && known:
			r.trips = append(r.trips, time.Since(began))
			delete(waiting, seq)
		}
	}
	r.sent = count // what the deadline kept from being sent is lost, too
	return r, nil
}

// send sends one request. The first write may only tell what the network had said of a request before, so there are two. The
// error is one of this node.
func (s socket) send(e echoes, seq int) (told []error, err error) {
	message, err := e.request(seq)
	if err != nil {
		return nil, err
	}
	for range 2 {
		_, err := s.conn.Write(message)
		if err == nil {
			break
		}
		if sdk.Local(err) {
			return told, err
		}
		told = append(told, err)
	}
	return told, nil
}

// receive waits for one message and tells which request it answers.
func (s socket) receive(e echoes, buf []byte, until time.Time) (seq int, answered bool, err error) {
	if err := s.conn.SetReadDeadline(until); err != nil {
		return 0, false, err
	}
	n, _, err := s.conn.ReadFrom(buf) // Read would leave the header of IPv4 in place
	if err != nil {
		return 0, false, err
	}
	seq, answered = e.answers(buf[:n])
	return seq, answered, nil
}
