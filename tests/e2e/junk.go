package e2e

import (
	"encoding/binary"
	"net"
	"net/netip"
	"time"

	"github.com/vipward/vipward/core/vrrp"
	"github.com/vipward/vipward/tests/lab/topology"
)

// junkOf is one kind of message that no router may act on.
type junkOf struct {
	name  string
	frame []byte
}

// junk are frames to VRRP's group that change no state of a pair, whoever sends them: what is malformed, of another network or another
// virtual router, and a resignation and an advert that loses, of a router that is not master.
func junk(node *topology.Node) []junkOf {
	src, dst := node.Addr, vrrp.Group(node.Addr)[0]
	advert := func(change func(*vrrp.Advert)) []byte {
		a := vrrp.Advert{
			Version: 3, VRID: vrid, Priority: 200, Interval: 100 * time.Millisecond, Addresses: []netip.Addr{topology.VIP}, Rule: vrrp.ChecksumPseudo,
		}
		change(&a)
		return a.Append(nil, src, dst)
	}
	good := func(*vrrp.Advert) {}
	broken := func(at int, b byte) []byte {
		p := advert(good)
		p[at] = b
		return p
	}
	const ttl = 255
	list := []junkOf{
		{"ttl", ipFrame(node, dst, 64, advert(good))},
		{"checksum", ipFrame(node, dst, ttl, broken(2, 201))},
		{"type", ipFrame(node, dst, ttl, broken(0, 0x32))},
		{"version", ipFrame(node, dst, ttl, advert(func(a *vrrp.Advert) { a.Version, a.Interval = 2, time.Second }))},
		{"count", ipFrame(node, dst, ttl, broken(3, 0))},
		{"length", ipFrame(node, dst, ttl, broken(3, 9))},
		{"", ipFrame(node, dst, ttl, advert(func(a *vrrp.Advert) { a.VRID = 99 }))}, // of another virtual router
		{"length", ipFrame(node, dst, ttl, []byte{0x31, vrid, 200})},
		{"", ipFrame(node, dst, ttl, advert(func(a *vrrp.Advert) { a.Priority = 0 }))},
		{"", ipFrame(node, dst, ttl, advert(func(a *vrrp.Advert) { a.Priority = 1 }))},
	}
	return list
}

// frames are those of all kinds.
func frames(kinds []junkOf) (all [][]byte) {
	for _, k := range kinds {
		all = append(all, k.frame)
	}
	return all
}

// ipFrame is an Ethernet frame with a message of VRRP to its group.
func ipFrame(from *topology.Node, dst netip.Addr, ttl byte, payload []byte) []byte {
	to := dst.As4()
	f := append(net.HardwareAddr{0x01, 0x00, 0x5e, to[1] & 0x7f, to[2], to[3]}, from.MAC...)
	f = append(f, 0x08, 0x00)
	h := make([]byte, 20)
	h[0], h[1], h[8], h[9] = 0x45, 0xc0, ttl, 112
	binary.BigEndian.PutUint16(h[2:], uint16(len(h)+len(payload)))
	copy(h[12:], from.Addr.AsSlice())
	copy(h[16:], to[:])
	sum := uint32(0)
	for k := 0; k < len(h); k += 2 {
		sum += uint32(binary.BigEndian.Uint16(h[k:]))
	}
	sum = sum>>16 + sum&0xffff
	binary.BigEndian.PutUint16(h[10:], ^uint16(sum+sum>>16))
	f = append(append(f, h...), payload...)
	for len(f) < 60 { // the least that Ethernet carries
		f = append(f, 0)
	}
	return f
}
