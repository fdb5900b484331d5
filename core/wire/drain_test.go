package wire

import (
	"fmt"
	"testing"
	"time"
)

// Whoever has read it, what had arrived before a drain is handed on when that ends.
func TestDrainHandsOnAllThatHasArrived(t *testing.T) {
	a, b := pair(t)
	a.set(Port{Interface: "eth0", Multicast: true})
	b.set(Port{Interface: "eth0", Multicast: true})
	a.send(multicast, "first")
	b.receive("first")
	const most = 50
	for n := range most {
		a.send(multicast, fmt.Sprint(n))
	}
	reader := (*b.wire.ports.Load())[key{"eth0", false}].conn.Load().reader
	for end := time.Now().Add(patience); b.wire.Stats()[0].Received < most+1 && time.Now().Before(end); {
		b.wire.Drain()
	}
	if got := len(b.got); got != most {
		t.Errorf("%d were handed on, want %d", got, most)
	}
	last := time.Time{}
	for range len(b.got) {
		p := <-b.got
		if p.At.Before(last) || p.At.After(time.Now()) {
			t.Errorf("%s came at %v, the one before at %v", p.Payload, p.At, last)
		}
		last = p.At
	}
	reader.mu.Lock() // its goroutine goes on
	empty := reader.empty
	reader.mu.Unlock()
	if empty.Before(last) {
		t.Errorf("the socket was empty at %v, and something came at %v", empty, last)
	}
}
