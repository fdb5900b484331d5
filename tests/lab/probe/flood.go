package probe

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/tests/lab/topology"
)

// Flood sends Ethernet frames from a node, one after the other and from the first again, so many a second, until ctx ends. It returns
// how many it has sent.
func Flood(ctx context.Context, node *topology.Node, frames [][]byte, perSecond int) (sent int, err error) {
	fd, err := socket(node.NS, unix.AF_PACKET, unix.SOCK_RAW, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	var ifi *net.Interface
	if err := node.Do(func() (err error) { ifi, err = net.InterfaceByName("eth0"); return err }); err != nil {
		return 0, fmt.Errorf("flood from %s: %w", node.Name, err)
	}
	to := unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_IP), Ifindex: ifi.Index, Halen: 6}
	for began := time.Now(); ctx.Err() == nil; {
		due := int(time.Since(began).Seconds() * float64(perSecond))
		for ; sent < due; sent++ {
			f := frames[sent%len(frames)]
			copy(to.Addr[:], f[:6])
			if err := unix.Sendto(fd, f, 0, &to); err != nil {
				return sent, fmt.Errorf("flood from %s: %w", node.Name, err)
			}
		}
		time.Sleep(time.Millisecond)
	}
	return sent, nil
}

// Announce says once, from a node, that an address of IPv4 is there: a gratuitous ARP request (RFC 5227 section 3).
func Announce(node *topology.Node, a netip.Addr) error {
	fd, err := socket(node.NS, unix.AF_PACKET, unix.SOCK_RAW, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	w := &Watch{fd: fd, frame: arpRequest(node.MAC, a, a)}
	if err := node.Do(w.listen); err != nil {
		return err
	}
	return unix.Sendto(fd, w.frame, 0, &w.to)
}

// Adverts hears, at a node, the adverts of one sender until ctx ends, and returns when each came, by the kernel's clock. Whatever else is on
// the wire costs nothing.
func Adverts(ctx context.Context, node *topology.Node, from netip.Addr) (came []time.Time, err error) {
	w := &Watch{node: node, frame: arpRequest(node.MAC, node.Addr, from)}
	if w.fd, err = socket(node.NS, unix.AF_PACKET, unix.SOCK_RAW, 0); err != nil {
		return nil, err
	}
	defer unix.Close(w.fd)
	if err := node.Do(w.listen); err != nil {
		return nil, fmt.Errorf("hear the adverts at %s: %w", node.Name, err)
	}
	only := advertsOf(from)
	program := unix.SockFprog{Len: uint16(len(only)), Filter: &only[0]}
	if err := unix.SetsockoptSockFprog(w.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &program); err != nil {
		return nil, err
	}
	keepTime()
	b, control := make([]byte, 2048), make([]byte, 256)
	for ctx.Err() == nil {
		if n, cn, _, _, err := unix.Recvmsg(w.fd, b, control, 0); err == nil && n > 34 {
			came = append(came, arrival(control[:cn]))
		}
	}
	return came, nil
}

// advertsOf is a classic BPF program that lets packets of IPv4 pass that are of protocol 112 and from one address.
func advertsOf(from netip.Addr) []unix.SockFilter {
	a := from.As4()
	return []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_H | unix.BPF_ABS, K: 12},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 5, K: unix.ETH_P_IP},
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 23}, // the protocol
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 3, K: 112},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 26}, // the source
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: uint32(a[0])<<24 | uint32(a[1])<<16 | uint32(a[2])<<8 | uint32(a[3])},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0xffff},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
	}
}

// Gaps are the times between instants, in ascending order.
func Gaps(came []time.Time) (gaps []time.Duration) {
	for k := 1; k < len(came); k++ {
		gaps = append(gaps, came[k].Sub(came[k-1]))
	}
	slices.Sort(gaps)
	return gaps
}
