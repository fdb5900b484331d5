package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"

	"github.com/cloudflare/ipvs"
	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/core/desired"
)

// The numbers of include/uapi/linux/ip_vs.h that are needed here.
const (
	ipvsNewService = 1
	ipvsSetService = 2
	ipvsGetService = 4
	ipvsNewServer  = 5
	ipvsSetServer  = 6
	ipvsDelServer  = 7

	ipvsAttrService, ipvsAttrServer = 1, 2

	serviceFamily, serviceProtocol, serviceAddress, servicePort, serviceMark = 1, 2, 3, 4, 5
	serviceScheduler, serviceFlags, serviceTimeout, serviceNetmask           = 6, 7, 8, 9
	serviceEngine                                                            = 11

	serverAddress, serverPort, serverForward, serverWeight, serverUpper, serverLower = 1, 2, 3, 4, 5, 6
	serverFamily, serverTunnel, serverTunnelPort, serverTunnelFlags                  = 11, 13, 14, 15
)

// netlinkTable is the client of the library with what it leaves out: many changes at once, and persistence engines, which it neither
// reads nor writes, and which its own update of a service removes.
type netlinkTable struct {
	closableClient
	plain  *netlink.Conn
	conn   *genetlink.Conn // of plain
	family genetlink.Family
}

// closableClient is the library's client, which can be closed though its interface does not say so.
type closableClient interface {
	ipvs.Client
	Close() error
}

// dialIPVS opens the table of the network namespace of the calling thread.
func dialIPVS() (ipvsTable, error) {
	c, err := ipvs.New()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errNoIPVS
	case err != nil:
		return nil, fmt.Errorf("open IPVS: %w", err)
	}
	t := &netlinkTable{}
	closable, ok := c.(closableClient)
	if !ok {
		return nil, errors.New("open IPVS: its client cannot be closed")
	}
	t.closableClient = closable
	if t.plain, err = netlink.Dial(unix.NETLINK_GENERIC, nil); err != nil {
		return nil, errors.Join(fmt.Errorf("open generic netlink: %w", err), closable.Close())
	}
	t.conn = genetlink.NewConn(t.plain)
	if err := t.plain.SetOption(netlink.CapAcknowledge, true); err != nil { // what is refused need not come back whole
		return nil, errors.Join(fmt.Errorf("set up generic netlink: %w", err), t.Close())
	}
	if t.family, err = t.conn.GetFamily("IPVS"); err != nil {
		return nil, errors.Join(fmt.Errorf("find IPVS in generic netlink: %w", err), t.Close())
	}
	return t, nil
}

// Close ends what is under way as well.
func (t *netlinkTable) Close() error { return errors.Join(t.conn.Close(), t.closableClient.Close()) }

// Engines reads the persistence engines of all services that have one.
func (t *netlinkTable) Engines() (map[desired.ServiceKey]string, error) {
	m := genetlink.Message{Header: genetlink.Header{Command: ipvsGetService, Version: t.family.Version}}
	found, err := t.conn.Execute(m, t.family.ID, netlink.Request|netlink.Dump)
	if err != nil {
		return nil, err
	}
	engines := map[desired.ServiceKey]string{}
	for _, m := range found {
		ad, err := netlink.NewAttributeDecoder(m.Data)
		if err != nil {
			return nil, err
		}
		for ad.Next() {
			if ad.Type() == ipvsAttrService {
				ad.Nested(func(ad *netlink.AttributeDecoder) error { return readEngine(ad, engines) })
			}
		}
		if err := ad.Err(); err != nil {
			return nil, err
		}
	}
	return engines, nil
}

func readEngine(ad *netlink.AttributeDecoder, engines map[desired.ServiceKey]string) error {
	var s ipvs.Service
	var addr []byte
	engine := ""
	for ad.Next() {
		switch ad.Type() {
		case serviceFamily:
			s.Family = ipvs.AddressFamily(ad.Uint16())
		case serviceProtocol:
			s.Protocol = ipvs.Protocol(ad.Uint16())
		case serviceAddress:
			addr = ad.Bytes()
		case servicePort:
			ad.Do(func(b []byte) error {
				if len(b) == 2 {
					s.Port = binary.BigEndian.Uint16(b)
				}
				return nil
			})
		case serviceMark:
			s.FWMark = ad.Uint32()
		case serviceEngine:
			engine = ad.String()
		}
	}
	if s.Family == ipvs.INET && len(addr) > 4 {
		addr = addr[:4]
	}
	s.Address, _ = netip.AddrFromSlice(addr)
	if key, ok := readKey(s); ok && engine != "" {
		engines[key] = engine
	}
	return nil
}

// PutService makes or changes a service that has a persistence engine.
func (t *netlinkTable) PutService(create bool, s ipvs.Service, engine string) error {
	ae := netlink.NewAttributeEncoder()
	ae.Nested(ipvsAttrService, func(ae *netlink.AttributeEncoder) error {
		writeKey(ae, s)
		ae.String(serviceScheduler, s.Scheduler)
		flags := binary.NativeEndian.AppendUint32(nil, uint32(s.Flags))
		ae.Bytes(serviceFlags, append(flags, 0xff, 0xff, 0xff, 0xff)) // and which of them count: all
		ae.Uint32(serviceTimeout, s.Timeout)
		if s.Netmask.Is4() {
			ae.Bytes(serviceNetmask, s.Netmask.AsSlice())
		} else {
			ae.Uint32(serviceNetmask, uint32(max(s.Netmask.Bits(), 0)))
		}
		ae.String(serviceEngine, engine)
		return nil
	})
	b, err := ae.Encode()
	if err != nil {
		return err
	}
	m := genetlink.Message{Header: genetlink.Header{Command: ipvsSetService, Version: t.family.Version}, Data: b}
	if create {
		m.Header.Command = ipvsNewService
	}
	_, err = t.conn.Execute(m, t.family.ID, netlink.Request|netlink.Acknowledge)
	return err
}
