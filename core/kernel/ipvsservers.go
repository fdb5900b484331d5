package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cloudflare/ipvs"
	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/netlink"

	"github.com/vipward/vipward/core/desired"
)

// serverBatch is how many changes to real servers go to the kernel with one call. What the kernel answers to a batch of which each is
// refused has room in a socket's buffer of the usual size (212992 bytes).
const serverBatch = 128

// serverChange is one change to a real server in the words of the library.
type serverChange struct {
	action  desired.Action
	service ipvs.Service
	server  ipvs.Destination
}

// ChangeServers makes up to [serverBatch] changes in order, and returns what came of each; a change that is refused keeps none of the
// others from being made. They go to the kernel together, which answers to those that it refuses and to the last one: one system call
// for each would take most of the time where there are thousands. The library writes them one by one.
func (t *netlinkTable) ChangeServers(changes []serverChange) ([]error, error) {
	if len(changes) == 0 {
		return nil, nil
	}
	messages := make([]netlink.Message, 0, len(changes))
	for _, c := range changes {
		m, err := t.message(c)
		if err != nil {
			return nil, err
		}
		messages = append(messages, m)
	}
	messages[len(messages)-1].Header.Flags |= netlink.Acknowledge
	messages, err := t.plain.SendMessages(messages) // which numbers them
	if err != nil {
		return nil, err
	}
	return t.answers(messages[0].Header.Sequence, len(messages))
}

// answers takes what the kernel says of so many messages, up to the last one.
func (t *netlinkTable) answers(first uint32, n int) ([]error, error) {
	errs := make([]error, n)
	for {
		got, err := t.plain.Receive()
		var refused *netlink.OpError
		at := uint32(0)
		switch {
		case err == nil && len(got) > 0:
			at = got[0].Header.Sequence - first
		case errors.As(err, &refused) && refused.Sequence != 0:
			if at = refused.Sequence - first; at < uint32(n) { // else of a batch before, which was given up
				errs[at] = refused.Err
			}
		case err != nil:
			return nil, err
		}
		if at == uint32(n)-1 {
			return errs, nil
		}
	}
}

// message is one change on the wire.
func (t *netlinkTable) message(c serverChange) (netlink.Message, error) {
	command, ok := map[desired.Action]uint8{
		desired.AddDestination: ipvsNewServer, desired.UpdateDestination: ipvsSetServer, desired.RemoveDestination: ipvsDelServer,
	}[c.action]
	if !ok {
		return netlink.Message{}, fmt.Errorf("%q is no change to a real server", c.action)
	}
	ae := netlink.NewAttributeEncoder()
	ae.Nested(ipvsAttrService, func(ae *netlink.AttributeEncoder) error {
		writeKey(ae, c.service)
		return nil
	})
	ae.Nested(ipvsAttrServer, func(ae *netlink.AttributeEncoder) error {
		writeServer(ae, c.server)
		return nil
	})
	attributes, err := ae.Encode()
	if err != nil {
		return netlink.Message{}, err
	}
	data, err := genetlink.Message{Header: genetlink.Header{Command: command, Version: t.family.Version}, Data: attributes}.MarshalBinary()
	return netlink.Message{Header: netlink.Header{Type: netlink.HeaderType(t.family.ID), Flags: netlink.Request}, Data: data}, err
}

// writeKey gives what identifies a service.
func writeKey(ae *netlink.AttributeEncoder, s ipvs.Service) {
	ae.Uint16(serviceFamily, uint16(s.Family))
	if s.FWMark != 0 {
		ae.Uint32(serviceMark, s.FWMark)
		return
	}
	ae.Uint16(serviceProtocol, uint16(s.Protocol))
	ae.Bytes(serviceAddress, s.Address.AsSlice())
	ae.Bytes(servicePort, binary.BigEndian.AppendUint16(nil, s.Port))
}

func writeServer(ae *netlink.AttributeEncoder, d ipvs.Destination) {
	ae.Uint16(serverFamily, uint16(d.Family))
	ae.Bytes(serverAddress, d.Address.AsSlice())
	ae.Bytes(serverPort, binary.BigEndian.AppendUint16(nil, d.Port))
	ae.Uint32(serverForward, uint32(d.FwdMethod))
	ae.Uint32(serverWeight, d.Weight)
	ae.Uint32(serverUpper, d.UpperThreshold)
	ae.Uint32(serverLower, d.LowerThreshold)
	ae.Uint8(serverTunnel, uint8(d.TunnelType))
	ae.Bytes(serverTunnelPort, binary.BigEndian.AppendUint16(nil, d.TunnelPort))
	ae.Uint16(serverTunnelFlags, uint16(d.TunnelFlags))
}
