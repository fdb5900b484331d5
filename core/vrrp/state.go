package vrrp

import "strconv"

// State of a virtual router. The zero value is [Init].
type State uint8

// The states. Init, Backup and Master are those of RFC 9568 section 6.4.
const (
	// Init takes no part: not started, or stopped.
	Init State = iota
	// Backup listens and waits for the master to fall silent.
	Backup
	// Master advertises and holds the addresses.
	Master
	// Fault takes no part because something that the router needs is missing on this node.
	Fault
	// Hold would take over but must not, since somebody may still hold the addresses.
	Hold
)

// String is the state in capitals, as operators know it.
func (s State) String() string {
	switch s {
	case Init:
		return "INIT"
	case Backup:
		return "BACKUP"
	case Master:
		return "MASTER"
	case Fault:
		return "FAULT"
	case Hold:
		return "HOLD"
	}
	return "STATE " + strconv.Itoa(int(s))
}
