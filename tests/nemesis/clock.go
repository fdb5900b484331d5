package nemesis

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// canShiftClocks tells what is missing to give one process another time.
func canShiftClocks() error {
	if runtime.GOARCH != "amd64" {
		return errors.New("the clock of a single process is shifted by machine code of amd64")
	}
	_, err := vdso(os.Getpid())
	return err
}

// shiftClock has the process of lb1 that does the work read another time of day than the machine's; time namespaces have none of it (time_namespaces(7)).
// The kernel's clock_gettime in the process, vdso(7), is overwritten while the process is stopped: a system call, and for
// CLOCK_REALTIME so many seconds more.
func (p *pair) shiftClock(by time.Duration) {
	pid := p.lb1.worker()
	at, err := vdso(pid)
	p.Must(err)
	code := []byte{
		0xb8, 228, 0, 0, 0, // mov eax, SYS_clock_gettime
		0x0f, 0x05, // syscall
		0x85, 0xff, // test edi, edi
		0x75, 0x07, // jnz to the end
		0x48, 0x81, 0x06, // add qword [rsi],
	}
	code = append(binary.LittleEndian.AppendUint32(code, uint32(int32(by/time.Second))), 0xc3) // ret
	p.lb1.Pause()
	defer p.lb1.Resume()
	mem, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", pid), os.O_RDWR, 0)
	p.Must(err)
	defer mem.Close()
	_, err = mem.WriteAt(code, at)
	p.Must(err)
}

// vdso finds clock_gettime in a process.
func vdso(pid int) (at int64, err error) {
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(maps)) {
		if !strings.HasSuffix(line, "[vdso]\n") {
			continue
		}
		var from, to int64
		if _, err := fmt.Sscanf(line, "%x-%x", &from, &to); err != nil {
			return 0, err
		}
		offset, err := clockGettime(pid, from, to)
		return from + offset, err
	}
	return 0, errors.New("the kernel gives processes no vdso")
}

func clockGettime(pid int, from, to int64) (int64, error) {
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		return 0, err
	}
	defer mem.Close()
	image, err := io.ReadAll(io.NewSectionReader(mem, from, to-from))
	if err != nil {
		return 0, err
	}
	file, err := elf.NewFile(bytes.NewReader(image))
	if err != nil {
		return 0, err
	}
	symbols, err := file.DynamicSymbols()
	if err != nil {
		return 0, err
	}
	k := slices.IndexFunc(symbols, func(s elf.Symbol) bool { return s.Name == "__vdso_clock_gettime" })
	if k < 0 {
		return 0, errors.New("the vdso has no clock_gettime")
	}
	return int64(symbols[k].Value), nil
}
