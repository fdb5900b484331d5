package sim

import (
	"net/netip"
	"time"

	"github.com/vipward/vipward/core/node"
	"github.com/vipward/vipward/core/vrrp"
)

// What a stranger sends, by [Fault.Size]. None of it may change anything.
const (
	strangerResigns = iota
	intervalZero
	wrongChecksum
	wrongVRID
	wrongTTL
	truncated
	wrongVersion
	unsigned // of priority 254; to routers with keys alone
	packets
)

// spoof lets a stranger send one packet to everybody.
func (w *World) spoof(f Fault) {
	s := w.scenario.Instances[f.Instance]
	if f.Size == unsigned && !s.Signed {
		return
	}
	src := netip.AddrFrom4([4]byte{10, 77, byte(s.Segment), 66})
	if s.IPv6 {
		src = netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 13: byte(s.Segment), 15: 66})
	}
	dst := vrrp.Group(src)[0]
	a := vrrp.Advert{Version: s.Version, VRID: s.VRID, Priority: 254, Interval: time.Duration(s.Interval), Rule: vrrp.ChecksumPseudo}
	for k := range s.VIPs {
		a.Addresses = append(a.Addresses, w.scenario.vip(f.Instance, k).Prefix.Addr())
	}
	head := vrrp.Header{Source: src, Destination: dst, TTL: 255}
	switch f.Size {
	case strangerResigns:
		a.Priority = 0
	case intervalZero:
		a.Interval = 0
	case wrongVRID:
		a.VRID += 100
	case wrongTTL:
		head.TTL = 254
	case wrongVersion:
		a.Version = 5 - a.Version
	}
	b := a.Append(nil, src, dst)
	switch f.Size {
	case wrongChecksum:
		b[6] ^= 0x55
	case truncated:
		b = b[:len(b)-3]
	}
	for _, h := range w.hosts {
		if h.running() && h.works(s.Segment) {
			w.judge.spoofed(h, f, node.Received{Interface: segmentName(s.Segment), Header: head, Payload: b})
		}
	}
}
