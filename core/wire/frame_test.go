package wire

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	mdlayher "github.com/mdlayher/packet"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/core/node"
)

var virtualMAC = [6]byte{0, 0, 0x5e, 0, 1, 51}

func (n *host) sendFrom(src, dst netip.Addr, payload string) {
	n.t.Helper()
	if err := n.try(node.Advert{Interface: "eth0", MAC: virtualMAC, Source: src, Destination: dst, Payload: []byte(payload)}); err != nil {
		n.t.Fatal(err)
	}
}

// The frames are heard as what they are by packet sockets, and by the sockets for adverts like any other.
func TestAdvertsComeFromTheVirtualMAC(t *testing.T) {
	a, b := pair6(t)
	a.set(Port{Interface: "eth0", Multicast: true, Frames: true}, Port{Interface: "eth0", IPv6: true, Multicast: true, Frames: true})
	b.set(Port{Interface: "eth0", Multicast: true}, port6(true))
	for _, c := range []struct {
		name     string
		src, dst netip.Addr
		protocol int
		group    string
	}{
		{"IPv4", left, multicast, unix.ETH_P_IP, "01:00:5e:00:00:12"},
		{"IPv6", left6, multicast6, unix.ETH_P_IPV6, "33:33:00:00:00:12"},
	} {
		t.Run(c.name, func(t *testing.T) {
			frames := b.listen(c.protocol)
			a.sendFrom(c.src, c.dst, "hello")
			p := b.receive("hello")
			if p.Header.Source != c.src || p.Header.Destination != c.dst || p.Header.TTL != 255 {
				t.Errorf("received %+v", p.Header)
			}
			f := nextVRRP(t, frames)
			if got := net.HardwareAddr(f[:6]).String(); got != c.group {
				t.Errorf("the frame went to %s, want %s", got, c.group)
			}
			if !bytes.Equal(f[6:12], virtualMAC[:]) {
				t.Errorf("the frame came from %v, want %v", net.HardwareAddr(f[6:12]), net.HardwareAddr(virtualMAC[:]))
			}
			a.receiveNothing() // not even its own
		})
	}
}

// listen hears whole frames of a protocol on eth0.
func (n *host) listen(protocol int) (c *mdlayher.Conn) {
	n.t.Helper()
	n.do(func() error {
		ifi, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		c, err = mdlayher.Listen(ifi, mdlayher.Raw, protocol, nil)
		return err
	})
	n.t.Cleanup(func() { c.Close() })
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		n.t.Fatal(err)
	}
	return c
}

// nextVRRP is the next frame of VRRP; the kernel sends others, to find routers and groups.
func nextVRRP(t *testing.T, c *mdlayher.Conn) []byte {
	t.Helper()
	for {
		b := make([]byte, 200)
		n, _, err := c.ReadFrom(b)
		if err != nil {
			t.Fatal(err)
		}
		if b[14]>>4 == 4 && b[14+9] == protocolVRRP || b[14]>>4 == 6 && b[14+6] == protocolVRRP {
			return b[:n]
		}
	}
}

// Both routers have the same hardware address, on an interface of their own: each must hear the other all the same.
func TestAdvertsAreHeardBesideAnInterfaceOfTheSameMAC(t *testing.T) {
	a, b := pair(t)
	for _, n := range []*host{a, b} {
		n.do(func() error {
			parent, err := netlink.LinkByName("eth0")
			if err != nil {
				return err
			}
			l := &netlink.Macvlan{
				LinkAttrs: netlink.LinkAttrs{Name: "vrrp.51", ParentIndex: parent.Attrs().Index, HardwareAddr: virtualMAC[:]},
				Mode:      netlink.MACVLAN_MODE_BRIDGE,
			}
			return errors.Join(netlink.LinkAdd(l), netlink.LinkSetUp(l))
		})
		n.set(Port{Interface: "eth0", Multicast: true, Frames: true})
	}
	a.sendFrom(left, multicast, "from a")
	b.receive("from a")
	b.sendFrom(right, multicast, "from b")
	a.receive("from b")
}

func TestFramesNeedAPortThatWishesForThemAndAGroup(t *testing.T) {
	a, _ := pair(t)
	if err := a.try(node.Advert{Interface: "eth0", MAC: virtualMAC, Source: left, Destination: multicast}); !errors.Is(err, ErrClosed) {
		t.Errorf("without a port: %v, want %v", err, ErrClosed)
	}
	a.set(Port{Interface: "eth0", Multicast: true})
	if err := a.try(node.Advert{Interface: "eth0", MAC: virtualMAC, Source: left, Destination: multicast}); !errors.Is(err, errNoFrames) {
		t.Errorf("on a port without frames: %v, want %v", err, errNoFrames)
	}
	a.set(Port{Interface: "eth0", Multicast: true, Frames: true})
	a.sendFrom(left, multicast, "x")
	for _, dst := range []netip.Addr{right, multicast6} {
		if err := a.try(node.Advert{Interface: "eth0", MAC: virtualMAC, Source: left, Destination: dst}); err == nil {
			t.Errorf("a frame to %v was sent", dst)
		}
	}
}
