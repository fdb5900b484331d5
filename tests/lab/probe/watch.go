package probe

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/tests/lab/topology"
)

// askEvery is the time between two ARP requests for the VIP.
const askEvery = 50 * time.Millisecond

// watch is a packet socket in the client that hears all ARP about the VIP and all adverts.
type watch struct {
	fd   int
	node *topology.Node
	vip  netip.Addr
	to   unix.SockaddrLinklayer
	wire Wire
	asks []time.Time // written by ask only
}

func newWatch(node *topology.Node, vip netip.Addr) (*watch, error) {
	w := &watch{node: node, vip: vip}
	var err error
	if w.fd, err = socket(node.NS, unix.AF_PACKET, unix.SOCK_RAW, 0); err != nil {
		return nil, err
	}
	err = node.Do(func() error { return w.listen() })
	if err != nil {
		return nil, fmt.Errorf("watch the wire at %s: %w", node.Name, err)
	}
	return w, nil
}

// listen binds after the filter is in, so that nothing else comes through.
func (w *watch) listen() error {
	ifi, err := net.InterfaceByName("eth0")
	if err != nil {
		return err
	}
	all := htons(unix.ETH_P_ALL)
	w.to = unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_ARP), Ifindex: ifi.Index, Halen: 6, Addr: [8]byte{255, 255, 255, 255, 255, 255}}
	promiscuous := unix.PacketMreq{Ifindex: int32(ifi.Index), Type: unix.PACKET_MR_PROMISC}
	filter := arpOrVRRP()
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	for _, step := range []func() error{
		func() error { return unix.SetsockoptSockFprog(w.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &program) },
		func() error { return unix.SetsockoptInt(w.fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1) },
		func() error {
			return unix.SetsockoptPacketMreq(w.fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &promiscuous)
		},
		func() error { return unix.Bind(w.fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: ifi.Index}) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// ask sends ARP requests for the VIP until the context ends.
func (w *watch) ask(ctx context.Context) {
	keepTime()
	frame := arpRequest(w.node.MAC, w.node.Addr, w.vip)
	begin := time.Now()
	for i := 0; ctx.Err() == nil; i++ {
		sleepUntil(begin.Add(time.Duration(i) * askEvery))
		w.asks = append(w.asks, time.Now().Round(0)) // the wall clock, as the stamps of the kernel
		_ = unix.Sendto(w.fd, frame, 0, &w.to)       // unanswered like a lost one
	}
}

// hear works until stop is closed.
func (w *watch) hear(stop <-chan struct{}) {
	keepTime()
	b, control := make([]byte, 2048), make([]byte, 256)
	for {
		n, cn, _, _, err := unix.Recvmsg(w.fd, b, control, 0)
		if err == nil {
			w.note(arrival(control[:cn]), b[:n])
			continue
		}
		select {
		case <-stop:
			return
		default:
		}
	}
}

// result is what was seen; for use after both goroutines have ended.
func (w *watch) result() Wire {
	w.wire.Asks = w.asks
	byTime := func(a, b Claim) int { return a.At.Compare(b.At) }
	slices.SortStableFunc(w.wire.Replies, byTime)
	slices.SortStableFunc(w.wire.Gratuitous, byTime)
	return w.wire
}

func (w *watch) note(at time.Time, frame []byte) {
	switch {
	case len(frame) < 34 || bytes.Equal(frame[6:12], w.node.MAC):
	case binary.BigEndian.Uint16(frame[12:]) == unix.ETH_P_ARP && len(frame) >= 42:
		w.noteARP(at, frame)
	case binary.BigEndian.Uint16(frame[12:]) == unix.ETH_P_IP:
		w.noteAdvert(at, frame[14:])
	case binary.BigEndian.Uint16(frame[12:]) == unix.ETH_P_IPV6 && len(frame) >= 14+40+8:
		w.noteAdvert6(at, frame[14:])
	}
}

// noteARP keeps what claims the VIP (RFC 826; RFC 5227 section 3 for the gratuitous forms).
func (w *watch) noteARP(at time.Time, frame []byte) {
	reply := binary.BigEndian.Uint16(frame[20:]) == 2
	sender, target := netip.AddrFrom4([4]byte(frame[28:32])), netip.AddrFrom4([4]byte(frame[38:42]))
	claim := Claim{At: at, MAC: net.HardwareAddr(frame[22:28]).String()}
	switch {
	case sender != w.vip:
	case target == w.vip:
		w.wire.Gratuitous = append(w.wire.Gratuitous, claim)
	case reply:
		w.wire.Replies = append(w.wire.Replies, claim)
	}
}

func (w *watch) noteAdvert(at time.Time, packet []byte) {
	header := int(packet[0]&15) * 4
	if packet[9] != 112 || len(packet) < header+8 {
		return
	}
	p := packet[header:]
	w.wire.Adverts = append(w.wire.Adverts, Advert{
		At: at, Source: netip.AddrFrom4([4]byte(packet[12:16])), Version: p[0] >> 4, VRID: p[1], Priority: p[2],
	})
}

func (w *watch) noteAdvert6(at time.Time, packet []byte) {
	p := packet[40:] // adverts have no extension headers
	w.wire.Adverts = append(w.wire.Adverts, Advert{
		At: at, Source: netip.AddrFrom16([16]byte(packet[8:24])), Version: p[0] >> 4, VRID: p[1], Priority: p[2],
	})
}

// arrival is the kernel's own time stamp of a packet (SO_TIMESTAMPNS, socket(7)): it does not depend on when this thread
// got a processor.
func arrival(control []byte) time.Time {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return time.Now().Round(0)
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SO_TIMESTAMPNS && len(m.Data) >= 16 {
			return time.Unix(int64(binary.NativeEndian.Uint64(m.Data)), int64(binary.NativeEndian.Uint64(m.Data[8:])))
		}
	}
	return time.Now().Round(0)
}

func arpRequest(mac net.HardwareAddr, source, target netip.Addr) []byte {
	f := bytes.Repeat([]byte{0xff}, 6)
	f = append(f, mac...)
	f = append(f, 0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1) // ARP for Ethernet and IPv4, request
	f = append(f, mac...)
	f = append(f, source.AsSlice()...)
	f = append(f, make([]byte, 6)...)
	return append(f, target.AsSlice()...)
}

// arpOrVRRP is a classic BPF program that lets ARP and IP of protocol 112 pass.
func arpOrVRRP() []unix.SockFilter {
	return []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_H | unix.BPF_ABS, K: 12},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: 6, K: unix.ETH_P_ARP},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: 3, K: unix.ETH_P_IP},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 5, K: unix.ETH_P_IPV6},
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 20}, // the next header
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: 2, Jf: 3, K: 112},
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 23}, // the protocol
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: 112},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0xffff},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
	}
}

func htons(v uint16) uint16 { return v<<8 | v>>8 }
