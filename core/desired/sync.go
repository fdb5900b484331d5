package desired

import (
	"fmt"
	"net/netip"
)

// SyncRole is what a daemon of IPVS does with connections: the master tells of its own, the backup takes those of another
// director over.
type SyncRole string

// The roles. A director can have one daemon of each.
const (
	SyncMaster SyncRole = "master"
	SyncBackup SyncRole = "backup"
)

// Sync is one daemon that exchanges connections with other directors (ipvsadm --start-daemon). Without a role it is none.
type Sync struct {
	Role SyncRole
	// Interface that the messages travel on.
	Interface string
	// ID tells the directors that belong together, 0 to 255. A backup takes messages with its own alone.
	ID uint8
	// Group is the multicast group that the messages are sent to, and Port their UDP port.
	Group netip.Addr
	Port  uint16
	// TTL of the messages, 1 to 255.
	TTL uint8
	// MaxLength of a message in bytes, 1024 to 65487; 0 for what fits the interface.
	MaxLength uint16
}

// The kernel's own choices where nothing else is asked for (include/net/ip_vs.h).
const (
	SyncPort = 8848
	SyncTTL  = 1
)

// SyncGroup is the multicast group that the kernel chooses.
func SyncGroup() netip.Addr { return netip.AddrFrom4([4]byte{224, 0, 0, 81}) }

// String is the daemon in words: "master on eth0".
func (s Sync) String() string { return fmt.Sprintf("%s on %s", s.Role, s.Interface) }

// same compares two daemons. What the kernel has chosen was not asked for.
func (s Sync) same(have Sync) bool {
	if s.MaxLength == 0 {
		have.MaxLength = 0
	}
	return s == have
}

// SyncOp is one change to the daemons: a start, or else a stop.
type SyncOp struct {
	Start bool
	Sync  Sync
}

// String is the change in words.
func (o SyncOp) String() string {
	if o.Start {
		return "start the synchronisation of connections as " + o.Sync.String()
	}
	return "stop the synchronisation of connections as " + o.Sync.String()
}

// DiffSync gives the fewest changes that leave the wished daemon and none other that is owned. The new role begins before the old
// one ends, so that no message is missed. A daemon that has another setting than the wished one of its role makes room for it,
// whoever started it, since the kernel has one of each; else one that is not owned stays.
func DiffSync(want Sync, have []Sync, owned map[SyncRole]bool) (ops []SyncOp) {
	there := false
	var after []SyncOp
	for _, h := range have {
		switch {
		case h.Role == want.Role && want.same(h):
			there = true
		case h.Role == want.Role:
			ops = append(ops, SyncOp{Sync: h})
		case owned[h.Role]:
			after = append(after, SyncOp{Sync: h})
		}
	}
	if want.Role != "" && !there {
		ops = append(ops, SyncOp{true, want})
	}
	return append(ops, after...)
}
