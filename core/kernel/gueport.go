package kernel

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/netlink"
)

// The numbers of include/uapi/linux/fou.h that are needed here.
const (
	fouAdd    = 1
	fouDelete = 2
	fouGet    = 3

	fouPort, fouFamily, fouType = 1, 2, 4

	fouGUE = 2
)

// guePort is a UDP port of one family that the kernel takes packets in GUE from (net/ipv4/fou_core.c).
type guePort struct {
	Port uint16 `json:"port"`
	Six  bool   `json:"ipv6"`
}

func (p guePort) String() string {
	if p.Six {
		return fmt.Sprintf("UDP port %d of IPv6", p.Port)
	}
	return fmt.Sprintf("UDP port %d", p.Port)
}

// send opens or closes it. The protocol of what is inside is not named, since GUE says it with each packet.
func (p guePort) send(command uint8) error {
	_, err := askFou(command, netlink.Request|netlink.Acknowledge, func(e *netlink.AttributeEncoder) {
		e.Bytes(fouPort, binary.BigEndian.AppendUint16(nil, p.Port))
		e.Uint8(fouFamily, familyOf(p.Six))
		if command == fouAdd {
			e.Uint8(fouType, fouGUE)
		}
	})
	return err
}

// open tells whether the kernel has it. Without the module it has none.
func (p guePort) open() bool {
	found, err := askFou(fouGet, netlink.Request|netlink.Dump, func(*netlink.AttributeEncoder) {})
	return err == nil && slices.ContainsFunc(found, func(m genetlink.Message) bool {
		d, err := netlink.NewAttributeDecoder(m.Data)
		if err != nil {
			return false
		}
		var have guePort
		var kind uint8
		for d.Next() {
			switch d.Type() {
			case fouPort:
				if b := d.Bytes(); len(b) == 2 {
					have.Port = binary.BigEndian.Uint16(b)
				}
			case fouFamily:
				have.Six = d.Uint8() == familyOf(true)
			case fouType:
				kind = d.Uint8()
			}
		}
		return d.Err() == nil && have == p && kind == fouGUE
	})
}

func askFou(command uint8, flags netlink.HeaderFlags, fill func(*netlink.AttributeEncoder)) ([]genetlink.Message, error) {
	c, err := genetlink.Dial(nil)
	if err != nil {
		return nil, fmt.Errorf("open generic netlink: %w", err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(answerTimeout)); err != nil {
		return nil, err
	}
	family, err := c.GetFamily("fou")
	if err != nil {
		return nil, err
	}
	e := netlink.NewAttributeEncoder()
	fill(e)
	data, err := e.Encode()
	if err != nil {
		return nil, err
	}
	m := genetlink.Message{Header: genetlink.Header{Command: command, Version: family.Version}, Data: data}
	return c.Execute(m, family.ID, flags)
}
