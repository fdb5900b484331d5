package probe

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/mdlayher/ndp"
	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/tests/lab/topology"
)

// askEvery is the usual time between two ARP requests for the VIP.
const askEvery = 20 * time.Millisecond

// Watch is a packet socket in a node that asks for the VIP, and hears who claims it and all adverts.
type Watch struct {
	fd    int
	node  *topology.Node
	vip   netip.Addr
	every time.Duration // between two questions
	pacer *Pacer        // that asks for it; nil for a thread of its own
	to    unix.SockaddrLinklayer
	frame []byte // the question
	macs  map[[6]byte]string

	mu   sync.Mutex
	wire Wire
}

// NewWatch prepares to watch from a node. Its socket is open from here to the end of Run.
func NewWatch(node *topology.Node, vip netip.Addr) (*Watch, error) {
	w := &Watch{node: node, vip: vip, every: askEvery, frame: arpRequest(node.MAC, node.Addr, vip), macs: map[[6]byte]string{}}
	if vip.Is6() {
		w.frame = solicitation(node.MAC, vip)
	}
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
func (w *Watch) listen() error {
	ifi, err := net.InterfaceByName("eth0")
	if err != nil {
		return err
	}
	all := htons(unix.ETH_P_ALL)
	w.to = unix.SockaddrLinklayer{Protocol: htons(binary.BigEndian.Uint16(w.frame[12:])), Ifindex: ifi.Index, Halen: 6}
	copy(w.to.Addr[:], w.frame[:6])
	promiscuous := unix.PacketMreq{Ifindex: int32(ifi.Index), Type: unix.PACKET_MR_PROMISC}
	filter := claimsAndVRRP()
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	for _, step := range []func() error{
		func() error { return unix.SetsockoptSockFprog(w.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &program) },
		func() error { return unix.SetsockoptInt(w.fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1) },
		func() error { return unix.SetsockoptInt(w.fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1) },
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

// Run watches until the context ends, and a moment longer for the last answers. It may be called once.
func (w *Watch) Run(ctx context.Context) {
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		w.hear(stop)
	}()
	w.ask(ctx)
	time.Sleep(linger)
	close(stop)
	<-done
	unix.Close(w.fd)
}

// Wire is what was seen so far, in the order of time. It may be called at any time.
func (w *Watch) Wire() Wire {
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := Wire{slices.Clone(w.wire.Asks), slices.Clone(w.wire.Replies), slices.Clone(w.wire.Gratuitous), slices.Clone(w.wire.Adverts)}
	byTime := func(a, b Claim) int { return a.At.Compare(b.At) }
	slices.SortStableFunc(seen.Replies, byTime)
	slices.SortStableFunc(seen.Gratuitous, byTime)
	return seen
}

// ask asks for the VIP until the context ends. A question that is late shifts the next: two at one time would tell no more than one.
func (w *Watch) ask(ctx context.Context) {
	begin := time.Now()
	if w.pacer != nil {
		due := begin
		w.pacer.during(ctx, func() {
			if now := time.Now(); !now.Before(due) {
				due = now.Add(w.every - pace/2) // the beat that is nearest to it
				w.question()
			}
		})
		return
	}
	keepTime()
	for i := 0; ctx.Err() == nil; i++ {
		sleepUntil(begin.Add(time.Duration(i) * w.every))
		w.question()
	}
}

func (w *Watch) question() {
	w.mu.Lock()
	w.wire.Asks = append(w.wire.Asks, time.Now().Round(0)) // the wall clock, as the stamps of the kernel
	w.mu.Unlock()
	_ = unix.Sendto(w.fd, w.frame, unix.MSG_DONTWAIT, &w.to) // unanswered like a lost one
}

// hear works until stop is closed.
func (w *Watch) hear(stop <-chan struct{}) {
	b, control := make([]byte, 2048), make([]byte, 256)
	drain(stop, func() error {
		n, cn, _, _, err := unix.Recvmsg(w.fd, b, control, unix.MSG_DONTWAIT)
		if err == nil {
			w.note(arrival(control[:cn]), b[:n])
		}
		return err
	})
}

func (w *Watch) note(at time.Time, frame []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case len(frame) < 34 || bytes.Equal(frame[6:12], w.node.MAC):
	case binary.BigEndian.Uint16(frame[12:]) == unix.ETH_P_ARP && len(frame) >= 42:
		w.noteARP(at, frame)
	case binary.BigEndian.Uint16(frame[12:]) == unix.ETH_P_IP:
		w.noteAdvert(at, frame[14:])
	case binary.BigEndian.Uint16(frame[12:]) == unix.ETH_P_IPV6 && len(frame) >= 14+40+8:
		w.note6(at, w.mac(frame[6:12]), frame[14:])
	}
}

// noteARP keeps what claims the VIP (RFC 826; RFC 5227 section 3 for the gratuitous forms).
func (w *Watch) noteARP(at time.Time, frame []byte) {
	reply := binary.BigEndian.Uint16(frame[20:]) == 2
	sender, target := netip.AddrFrom4([4]byte(frame[28:32])), netip.AddrFrom4([4]byte(frame[38:42]))
	if sender != w.vip {
		return
	}
	claim := Claim{At: at, MAC: w.mac(frame[22:28])}
	switch {
	case target == w.vip:
		w.wire.Gratuitous = append(w.wire.Gratuitous, claim)
	case reply:
		w.wire.Replies = append(w.wire.Replies, claim)
	}
}

// mac is one string for each hardware address.
func (w *Watch) mac(b []byte) string {
	key := [6]byte(b)
	if w.macs[key] == "" {
		w.macs[key] = net.HardwareAddr(b).String()
	}
	return w.macs[key]
}

func (w *Watch) noteAdvert(at time.Time, packet []byte) {
	header := int(packet[0]&15) * 4
	if packet[9] != 112 || len(packet) < header+8 {
		return
	}
	p := packet[header:]
	w.wire.Adverts = append(w.wire.Adverts, Advert{
		At: at, Source: netip.AddrFrom4([4]byte(packet[12:16])), Version: p[0] >> 4, VRID: p[1], Priority: p[2],
	})
}

// note6 keeps adverts, and neighbour advertisements of the VIP (RFC 4861 section 4.4). Neither has extension headers.
func (w *Watch) note6(at time.Time, mac string, packet []byte) {
	p := packet[40:]
	switch {
	case packet[6] == 112:
		w.noteAdvert6(at, packet, p)
	case packet[6] == unix.IPPROTO_ICMPV6 && p[0] == advertisement && len(p) >= 24 && netip.AddrFrom16([16]byte(p[8:24])) == w.vip:
		if len(p) >= 32 && p[24] == 2 { // the target link-layer address, which need not be the sender's
			mac = w.mac(p[26:32])
		}
		list := &w.wire.Gratuitous
		if p[4]&solicited != 0 {
			list = &w.wire.Replies
		}
		*list = append(*list, Claim{at, mac})
	}
}

func (w *Watch) noteAdvert6(at time.Time, packet, p []byte) {
	w.wire.Adverts = append(w.wire.Adverts, Advert{
		At: at, Source: netip.AddrFrom16([16]byte(packet[8:24])), Version: p[0] >> 4, VRID: p[1], Priority: p[2],
	})
}

// arrival is the kernel's own time stamp of a packet (SO_TIMESTAMPNS, socket(7)): it does not depend on when this thread
// got a processor.
func arrival(control []byte) time.Time {
	for len(control) >= unix.SizeofCmsghdr {
		header, data, rest, err := unix.ParseOneSocketControlMessage(control)
		if err != nil {
			break
		}
		if header.Level == unix.SOL_SOCKET && header.Type == unix.SO_TIMESTAMPNS && len(data) >= 16 {
			return time.Unix(int64(binary.NativeEndian.Uint64(data)), int64(binary.NativeEndian.Uint64(data[8:])))
		}
		control = rest
	}
	return time.Now().Round(0)
}

// The addresses from which [Config.Apart] asks: nobody has them.
var (
	apartMAC  = net.HardwareAddr{2, 0x77, 0, 0, 0, 250}
	apartAddr = netip.MustParseAddr("10.77.0.250")
)

func arpRequest(mac net.HardwareAddr, source, target netip.Addr) []byte {
	f := bytes.Repeat([]byte{0xff}, 6)
	f = append(f, mac...)
	f = append(f, 0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1) // ARP for Ethernet and IPv4, request
	f = append(f, mac...)
	f = append(f, source.AsSlice()...)
	f = append(f, make([]byte, 6)...)
	return append(f, target.AsSlice()...)
}

// solicitation asks everybody for an IPv6 address (RFC 4861 section 4.3), from the link-local address that Linux makes of the
// hardware address (RFC 4291 appendix A).
func solicitation(mac net.HardwareAddr, target netip.Addr) []byte {
	src := [16]byte{0xfe, 0x80, 8: mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]}
	last := target.As16()
	group := netip.AddrFrom16([16]byte{0xff, 0x02, 11: 1, 0xff, last[13], last[14], last[15]}) // RFC 4291 section 2.7.1
	ns := &ndp.NeighborSolicitation{
		TargetAddress: target, Options: []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Source, Addr: mac}},
	}
	message, err := ndp.MarshalMessageChecksum(ns, netip.AddrFrom16(src), group)
	if err != nil {
		panic(err) // it takes any address of IPv6
	}
	f := []byte{0x33, 0x33, 0xff, last[13], last[14], last[15]}
	f = append(append(f, mac...), 0x86, 0xdd, 6<<4, 0, 0, 0, 0, byte(len(message)), unix.IPPROTO_ICMPV6, 255)
	return append(append(append(f, src[:]...), group.AsSlice()...), message...)
}

// Of a neighbour advertisement: its type, and the flag that it answers somebody (RFC 4861 section 4.4).
const (
	advertisement = 136
	solicited     = 0x40
)

// claimsAndVRRP is a classic BPF program that lets ARP, ICMPv6 and IP of protocol 112 pass.
func claimsAndVRRP() []unix.SockFilter {
	return []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_H | unix.BPF_ABS, K: 12},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: 7, K: unix.ETH_P_ARP},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: 4, K: unix.ETH_P_IP},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 6, K: unix.ETH_P_IPV6},
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 20}, // the next header
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: 3, K: unix.IPPROTO_ICMPV6},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: 2, Jf: 3, K: 112},
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 23}, // the protocol
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: 112},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0xffff},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
	}
}

func htons(v uint16) uint16 { return v<<8 | v>>8 }
