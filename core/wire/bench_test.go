package wire

import (
	"log/slog"
	"testing"
)

// What a packet costs from the wire to the receiver, with what it costs to send.
func BenchmarkReceive(b *testing.B) {
	from, to := pair(b)
	came := make(chan int, 1<<16)
	to.wire = New(Options{Logger: slog.New(slog.DiscardHandler), Receive: func(all []Packet) { came <- len(all) }})
	from.set(Port{Interface: "eth0", Multicast: true})
	to.set(Port{Interface: "eth0", Multicast: true})
	b.ReportAllocs()
	for b.Loop() {
		for range 64 {
			from.send(multicast, "an advert of forty bytes, as most are.")
		}
		for got := 0; got < 64; {
			got += <-came
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*64), "ns/packet")
}
