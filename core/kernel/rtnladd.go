package kernel

import (
	"encoding/binary"
	"sync/atomic"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// atOnce is how many addresses go to the kernel in one call: it answers within a few milliseconds.
const atOnce = 64

// replace adds addresses, or renews the lifetime and mark of those that the interface has, and gives the error of each. The label and
// the scope of an address that is there stay as they are. What fails among others is tried alone, for the kernel's own words.
func (r *rtnl) replace(all []entry) []error {
	errs := make([]error, len(all))
	done := len(all) > 1 && r.replaceAll(all, errs) == nil
	for k, e := range all {
		if !done || errs[k] != nil {
			_, errs[k] = r.do(unix.RTM_NEWADDR, replaceFlags|unix.NLM_F_ACK, 0, e.request()...)
		}
	}
	return errs
}

const replaceFlags = unix.NLM_F_CREATE | unix.NLM_F_REPLACE

// replaceAll sends the requests together. The kernel works on them one after the other, and answers to those that fail, and to the
// last one, which asks for it (netlink_rcv_skb in net/netlink/af_netlink.c).
func (r *rtnl) replaceAll(all []entry, errs []error) error {
	s := r.socket.Socket
	last := atomic.AddUint32(&r.socket.Seq, uint32(len(all)))
	first := last - uint32(len(all)) + 1
	var b []byte
	for k, e := range all {
		req := nl.NewNetlinkRequest(unix.RTM_NEWADDR, replaceFlags)
		if req.Seq = first + uint32(k); req.Seq == last {
			req.Flags |= unix.NLM_F_ACK
		}
		req.Data = e.request()
		b = append(b, req.Serialize()...)
	}
	if err := unix.Sendto(s.GetFd(), b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	for {
		messages, from, err := s.Receive()
		if err != nil {
			return err
		}
		if from.Pid != nl.PidKernel {
			continue // some process plays the kernel
		}
		for _, m := range messages {
			k := m.Header.Seq - first
			if m.Header.Type != unix.NLMSG_ERROR || k >= uint32(len(all)) || len(m.Data) < 4 {
				continue
			}
			if errno := -int32(binary.NativeEndian.Uint32(m.Data)); errno != 0 {
				errs[k] = unix.Errno(errno)
			}
			if m.Header.Seq == last {
				return nil
			}
		}
	}
}
