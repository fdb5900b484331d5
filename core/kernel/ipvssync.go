package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/core/desired"
)

// The numbers of the synchronisation of connections in include/uapi/linux/ip_vs.h.
const (
	ipvsNewDaemon = 9
	ipvsDelDaemon = 10
	ipvsGetDaemon = 11

	ipvsAttrDaemon = 3

	daemonState, daemonInterface, daemonID, daemonMaxLength        = 1, 2, 3, 4
	daemonGroup, daemonGroup6, daemonPort, daemonTTL               = 5, 6, 7, 8
	stateMaster                                             uint32 = 1
	stateBackup                                             uint32 = 2
)

// Syncs reads the daemons that run.
func (t *netlinkTable) Syncs() ([]desired.Sync, error) {
	m := genetlink.Message{Header: genetlink.Header{Command: ipvsGetDaemon, Version: t.family.Version}}
	found, err := t.conn.Execute(m, t.family.ID, netlink.Request|netlink.Dump)
	if err != nil {
		return nil, err
	}
	var all []desired.Sync
	for _, m := range found {
		ad, err := netlink.NewAttributeDecoder(m.Data)
		if err != nil {
			return nil, err
		}
		for ad.Next() {
			if ad.Type() == ipvsAttrDaemon {
				ad.Nested(func(ad *netlink.AttributeDecoder) error {
					all = append(all, readSync(ad))
					return nil
				})
			}
		}
		if err := ad.Err(); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func readSync(ad *netlink.AttributeDecoder) (s desired.Sync) {
	for ad.Next() {
		switch ad.Type() {
		case daemonState:
			s.Role = map[uint32]desired.SyncRole{stateMaster: desired.SyncMaster, stateBackup: desired.SyncBackup}[ad.Uint32()]
		case daemonInterface:
			s.Interface = ad.String()
		case daemonID:
			s.ID = uint8(ad.Uint32())
		case daemonMaxLength:
			s.MaxLength = ad.Uint16()
		case daemonGroup, daemonGroup6:
			s.Group, _ = netip.AddrFromSlice(ad.Bytes())
		case daemonPort:
			s.Port = ad.Uint16()
		case daemonTTL:
			s.TTL = ad.Uint8()
		}
	}
	return s
}

// StartSync starts a daemon.
func (t *netlinkTable) StartSync(s desired.Sync) error {
	return t.daemon(ipvsNewDaemon, func(ae *netlink.AttributeEncoder) {
		writeSyncName(ae, s)
		if s.MaxLength > 0 {
			ae.Uint16(daemonMaxLength, s.MaxLength)
		}
		if s.Group.Is4() {
			ae.Bytes(daemonGroup, s.Group.AsSlice())
		} else {
			ae.Bytes(daemonGroup6, s.Group.AsSlice())
		}
		ae.Uint16(daemonPort, s.Port)
		ae.Uint8(daemonTTL, s.TTL)
	})
}

// StopSync stops the daemon of a role.
func (t *netlinkTable) StopSync(s desired.Sync) error {
	return t.daemon(ipvsDelDaemon, func(ae *netlink.AttributeEncoder) { writeSyncName(ae, s) })
}

// writeSyncName writes what each command about a daemon has to have.
func writeSyncName(ae *netlink.AttributeEncoder, s desired.Sync) {
	ae.Uint32(daemonState, map[desired.SyncRole]uint32{desired.SyncMaster: stateMaster, desired.SyncBackup: stateBackup}[s.Role])
	ae.String(daemonInterface, s.Interface)
	ae.Uint32(daemonID, uint32(s.ID))
}

func (t *netlinkTable) daemon(command uint8, write func(*netlink.AttributeEncoder)) error {
	ae := netlink.NewAttributeEncoder()
	ae.ByteOrder = binary.NativeEndian
	ae.Nested(ipvsAttrDaemon, func(ae *netlink.AttributeEncoder) error { write(ae); return nil })
	b, err := ae.Encode()
	if err != nil {
		return err
	}
	m := genetlink.Message{Header: genetlink.Header{Command: command, Version: t.family.Version}, Data: b}
	_, err = t.conn.Execute(m, t.family.ID, netlink.Request|netlink.Acknowledge)
	return err
}

// syncs reads the daemons.
func (b *backend) syncs() (all []desired.Sync, err error) {
	err = b.call(func(t ipvsTable) (err error) { all, err = t.Syncs(); return err })
	if err != nil {
		return nil, fmt.Errorf("list the daemons that synchronise connections: %w", err)
	}
	return all, nil
}

// sync makes one change, and says what may be wrong where the kernel refuses it.
func (b *backend) sync(op desired.SyncOp) error {
	err := b.call(func(t ipvsTable) error {
		if op.Start {
			return t.StartSync(op.Sync)
		}
		return ignore(t.StopSync(op.Sync), unix.ESRCH) // it has gone by itself
	})
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.ENODEV):
		return fmt.Errorf("%v: there is no such interface, or it is down (%w)", op, err)
	case errors.Is(err, unix.EINVAL):
		return fmt.Errorf("%v: while a service has real servers of another family than its own, IPVS synchronises nothing (%w)", op, err)
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return fmt.Errorf("%v: the interface has no address to send from (%w)", op, err)
	}
	return fmt.Errorf("%v: %w", op, err)
}

// applySync makes the daemons what they should be. With repairing, each change undoes what somebody else has done.
func (a *serviceApplier) applySync(repairing bool) error {
	a.synced = desired.Sync{}
	if a.sync.Role == "" && len(a.owned.syncs) == 0 {
		return nil
	}
	have, err := a.backend.syncs()
	if err != nil {
		return err
	}
	ours := map[desired.SyncRole]bool{}
	for _, r := range a.owned.syncs {
		ours[r] = true
	}
	wanted := []desired.SyncRole{}
	if a.sync.Role != "" {
		wanted = append(wanted, a.sync.Role)
		ours[a.sync.Role] = true
	}
	ops := desired.DiffSync(a.sync, have, ours)
	if len(ops) > 0 { // both are ours while they change
		a.rememberSync(sortedRoles(ours))
	}
	for _, op := range ops {
		if err := a.backend.sync(op); err != nil {
			return err
		}
		if repairing {
			a.repaired = append(a.repaired, describeSync(op))
		}
	}
	a.synced = a.sync
	a.rememberSync(wanted)
	return nil
}

// rememberSync records which daemons are ours, before one is started.
func (a *serviceApplier) rememberSync(roles []desired.SyncRole) {
	if err := a.owned.setSyncs(roles); err != nil {
		a.log.Warn("after a crash, a daemon that synchronises connections may stay that nobody wishes for any more", "error", err)
	}
}

// describeSync says what somebody else had done, by the change that undid it.
func describeSync(op desired.SyncOp) string {
	if op.Start {
		return fmt.Sprintf("the synchronisation of connections as %v had been stopped; it was started again", op.Sync)
	}
	return fmt.Sprintf("the synchronisation of connections as %v had been started by somebody else; it was stopped", op.Sync)
}
