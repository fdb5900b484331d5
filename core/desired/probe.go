package desired

import "net/netip"

// Probe is a real server that this node checks as its clients reach it. Its answers come from the VIP, which may be an address
// of this node at that moment.
type Probe struct {
	// Server is the address that packets are forwarded to.
	Server netip.Addr
	// Source is the address of this node that the checks come from.
	Source netip.Addr
}

// Firewall marks of checks through a VIP have [ProbeMarks] in the bits of [ProbeMarksMask]; the others tell their servers apart.
const (
	ProbeMarks     = 0x76000000
	ProbeMarksMask = 0xff000000
)
