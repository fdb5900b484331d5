package wire

import (
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/core/node"
)

// message is struct mmsghdr of recvmmsg(2) and sendmmsg(2).
type message struct {
	unix.Msghdr
	len uint32 // that was received or sent
}

// address holds any address of a packet.
type address struct {
	four unix.RawSockaddrInet4
	six  unix.RawSockaddrInet6
}

// mmsg hands several messages to the kernel, or takes them from it, in one call; how many, it tells.
func mmsg(call, fd uintptr, all []message, flags uintptr) (int, error) {
	n, _, errno := unix.Syscall6(call, fd, uintptr(unsafe.Pointer(unsafe.SliceData(all))), uintptr(len(all)), flags|unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// inbox has room for several messages with what the kernel tells beside each.
type inbox struct {
	all  [maxBatch]message
	from [maxBatch]unix.RawSockaddrInet6 // of IPv6; what comes over IPv4 has it in the packet
	vec  [maxBatch]unix.Iovec
	b    [maxBatch][maxPacket]byte
	oob  [maxBatch][256]byte
}

func newInbox() *inbox {
	in := &inbox{}
	for k := range in.all {
		in.vec[k].Base = &in.b[k][0]
		in.vec[k].SetLen(maxPacket)
		m := &in.all[k]
		m.Name, m.Control, m.Iov = (*byte)(unsafe.Pointer(&in.from[k])), &in.oob[k][0], &in.vec[k]
		m.SetIovlen(1)
	}
	return in
}

// receive takes what is there.
func (in *inbox) receive(fd uintptr) (int, error) {
	for k := range in.all {
		m := &in.all[k]
		m.Namelen = unix.SizeofSockaddrInet6
		m.SetControllen(len(in.oob[k]))
	}
	return mmsg(unix.SYS_RECVMMSG, fd, in.all[:], unix.MSG_TRUNC)
}

// message is the k-th of those that were received, cut to what there is room for, with its whole length.
func (in *inbox) message(k int) (b, oob []byte, length int, from netip.Addr) {
	m := &in.all[k]
	if f := &in.from[k]; f.Family == unix.AF_INET6 {
		from = netip.AddrFrom16(f.Addr)
	}
	length = int(m.len)
	return in.b[k][:min(length, maxPacket)], in.oob[k][:m.Controllen], length, from
}

// outbox has room for several messages to send.
type outbox struct {
	of  [maxBatch]*node.Advert // that the messages are made of
	all [maxBatch]message
	to  [maxBatch]address
	vec [maxBatch][2]unix.Iovec
	ip  [maxBatch][headerLen]byte
	n   int
}

// add4 adds a message over IPv4, whose header is ours to make.
func (o *outbox) add4(src, dst netip.Addr, payload []byte) {
	k := o.n
	header(&o.ip[k], src, dst)
	o.vec[k][0].Base = &o.ip[k][0]
	o.vec[k][0].SetLen(headerLen)
	to := &o.to[k].four
	to.Family, to.Addr = unix.AF_INET, dst.As4()
	o.add(payload, 1, (*byte)(unsafe.Pointer(to)), unix.SizeofSockaddrInet4, nil)
}

// add6 adds a message over IPv6, to a scope where the destination has one.
func (o *outbox) add6(dst netip.Addr, scope uint32, payload, oob []byte) {
	to := &o.to[o.n].six
	to.Family, to.Addr, to.Scope_id = unix.AF_INET6, dst.As16(), scope
	o.add(payload, 0, (*byte)(unsafe.Pointer(to)), unix.SizeofSockaddrInet6, oob)
}

// add completes a message whose address, and the parts before its payload, are there.
func (o *outbox) add(payload []byte, before int, to *byte, length uint32, oob []byte) {
	v := &o.vec[o.n][before]
	v.Base = unsafe.SliceData(payload)
	v.SetLen(len(payload))
	m := &o.all[o.n]
	m.Name, m.Namelen, m.Iov, m.Control = to, length, &o.vec[o.n][0], unsafe.SliceData(oob)
	m.SetIovlen(before + 1)
	m.SetControllen(len(oob))
	o.n++
}

// send gives all of them to the kernel and is empty then. It tells of each that could not be sent.
func (o *outbox) send(fd uintptr, failed func(k int, err error)) {
	for k := 0; k < o.n; {
		n, err := mmsg(unix.SYS_SENDMMSG, fd, o.all[k:o.n], 0)
		if k += n; err != nil { // of the first one
			failed(k, err)
			k++
		}
	}
	o.n = 0
}
