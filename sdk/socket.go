package sdk

import (
	"net/netip"
	"syscall"
)

// Source is the address that the target is to be reached from; it is invalid where the kernel chooses. It is for a plugin that
// makes its sockets itself, since [Target.DialContext] has none of that kind.
func (t Target) Source() netip.Addr { return t.source }

// Control prepares a socket that a plugin makes itself, before it is bound or connected, as [Target.DialContext] does: it sets the
// target's mark and device, and for a network that begins with udp or ip, as "udp4" and "ip6", it has the socket tell of every
// ICMP error. It fits into [net.Dialer] and [net.ListenConfig]; address does not matter. Its error is a trouble of this node:
// see [Local].
func (t Target) Control(network, _ string, c syscall.RawConn) error {
	var failed error
	err := c.Control(func(fd uintptr) {
		if failed = setOptions(int(fd), t.mark, t.device); failed == nil {
			choosePortLate(int(fd), network)
			failed = hearErrors(int(fd), network)
		}
	})
	if err != nil {
		return err
	}
	return failed
}
