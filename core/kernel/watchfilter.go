package kernel

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/net/bpf"
)

// filterMost is how many addresses a filter names. The kernel takes 4096 instructions; with more addresses everything that can be a
// sighting passes, and is looked at here.
const filterMost = 1000

// watchFilter lets through the frames that can be sightings of these addresses of one family, so that whatever else a busy segment
// says costs a few instructions in the kernel and wakes nobody.
func watchFilter(six bool, addresses []netip.Addr) ([]bpf.RawInstruction, error) {
	var p []bpf.Instruction
	at := uint32(arpSender)
	if six {
		at = targetAt + 12 // the last word of the target, which tells addresses of a network apart
		p = []bpf.Instruction{
			bpf.LoadAbsolute{Off: frameHead + 6, Size: 2}, // next header and hop limit
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: 58<<8 | 255, SkipTrue: 1},
			bpf.RetConstant{Val: 0},
			bpf.LoadAbsolute{Off: icmpAt, Size: 1},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: solicitation, SkipTrue: 2},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: advertisement, SkipTrue: 1},
			bpf.RetConstant{Val: 0},
		}
	}
	const all = 1 << 16
	if len(addresses) > filterMost {
		return bpf.Assemble(append(p, bpf.RetConstant{Val: all}))
	}
	p = append(p, bpf.LoadAbsolute{Off: at, Size: 4})
	for _, a := range addresses {
		b := a.AsSlice()
		p = append(p,
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: binary.BigEndian.Uint32(b[len(b)-4:]), SkipTrue: 1},
			bpf.RetConstant{Val: all})
	}
	return bpf.Assemble(append(p, bpf.RetConstant{Val: 0}))
}
