package config

import (
	"cmp"
	"time"

	"github.com/vipward/vipward/core/vrrp"
)

// checkLease warns of a lease that leaves two owners when this node's daemon dies. A lone node has nobody to make room for, and
// 1s is the kernel's least, which no attribute can make shorter.
func (l *loading) checkLease(i *instance) {
	if i.Lease.Auto || len(l.nodes) < 2 {
		return
	}
	at := i.block.where("lease")
	if i.Lease.For == 0 {
		if i.VRRP.Interval < time.Second {
			l.warn(at, "lease = \"off\" with adverts every %v", i.VRRP.Interval).because(
				"The peer takes over at once when the daemon dies, and nothing takes the VIPs from this node: both answer. Remove lease = \"off\".")
		}
		return
	}
	down := vrrp.MasterDown(i.VRRP.Version, cmp.Or(i.PeerPriority, 254), i.VRRP.Interval)
	if i.Lease.For > max(down, time.Second) {
		l.warn(at, "a lease of %v outlasts the takeover after %v", i.Lease.For, down.Round(time.Millisecond)).because(
			"When the daemon dies, both nodes answer for the VIPs until the lease ends. Write lease = \"auto\", or a shorter one.")
	}
}
