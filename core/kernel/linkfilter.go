package kernel

import (
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// renewalFilter keeps from a subscription what [classify] takes no notice of: our own addresses, whose leases are renewed many times a
// second. Where it cannot be set, they are read and thrown away.
func renewalFilter() ([]bpf.RawInstruction, error) {
	const pass = 1<<32 - 1
	return bpf.Assemble([]bpf.Instruction{
		bpf.LoadAbsolute{Off: 4, Size: 2}, // the type, in struct nlmsghdr (netlink(7))
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(networkOrder(unix.RTM_NEWADDR)), SkipTrue: 7},
		bpf.LoadConstant{Dst: bpf.RegA, Val: unix.NLMSG_HDRLEN + unix.SizeofIfAddrmsg},
		bpf.LoadConstant{Dst: bpf.RegX, Val: ifaProto},
		bpf.LoadExtension{Num: bpf.ExtNetlinkAttr}, // where it is
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipTrue: 3},
		bpf.TAX{},
		bpf.LoadIndirect{Off: unix.SizeofRtAttr, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: mark, SkipTrue: 1},
		bpf.RetConstant{Val: pass},
		bpf.RetConstant{Val: 0},
	})
}

// filterSocket has a socket receive what a program lets through.
func filterSocket(fd int, p []bpf.RawInstruction) error {
	code := make([]unix.SockFilter, len(p))
	for k, i := range p {
		code[k] = unix.SockFilter{Code: i.Op, Jt: i.Jt, Jf: i.Jf, K: i.K}
	}
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]})
}
