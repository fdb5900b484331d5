package pluginhost

import (
	"errors"
	"fmt"
	"math/bits"

	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/core/config"
)

// capabilities is a set of capabilities, a bit for each number.
type capabilities uint64

// capabilitiesOf are those of some names. The word for all is not among them.
func capabilitiesOf(names []string) (capabilities, error) {
	var set capabilities
	for _, name := range names {
		n, ok := config.CapabilityNumber(name)
		if !ok {
			return 0, fmt.Errorf("there is no capability %q", name)
		}
		set |= 1 << n
	}
	return set, nil
}

// numbers are those of the capabilities in the set.
func (c capabilities) numbers() []uintptr {
	var out []uintptr
	for rest := uint64(c); rest != 0; rest &= rest - 1 {
		out = append(out, uintptr(bits.TrailingZeros64(rest)))
	}
	return out
}

// names are the names of the capabilities in the set; one that this program has no name for is its number.
func (c capabilities) names() []string {
	out := []string{}
	for _, n := range c.numbers() {
		out = append(out, config.CapabilityName(int(n)))
	}
	return out
}

// permitted are the capabilities of the calling thread.
func permitted() (capabilities, error) {
	header, data := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, [2]unix.CapUserData{}
	if err := unix.Capget(&header, &data[0]); err != nil {
		return 0, fmt.Errorf("read the daemon's capabilities: %w", err)
	}
	return capabilities(data[0].Permitted) | capabilities(data[1].Permitted)<<32, nil
}

// bound takes from what the calling thread, and all that it starts, can ever have all but some capabilities. It takes CAP_SETPCAP;
// a daemon without that may leave it, for no_new_privs keeps a plugin from gaining any as well.
func bound(keep capabilities) error {
	for n := 0; n < 64; n++ {
		if keep&(1<<n) != 0 {
			continue
		}
		err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(n), 0, 0, 0)
		switch {
		case errors.Is(err, unix.EINVAL), errors.Is(err, unix.EPERM): // there are no more; see above
			return nil
		case err != nil:
			return fmt.Errorf("drop capability %d from the bounding set: %w", n, err)
		}
	}
	return nil
}

// shrink leaves the calling thread some capabilities, and none to inherit. It takes no privilege.
func shrink(to capabilities) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := [2]unix.CapUserData{
		{Permitted: uint32(to), Effective: uint32(to)},
		{Permitted: uint32(to >> 32), Effective: uint32(to >> 32)},
	}
	if err := unix.Capset(&header, &data[0]); err != nil {
		return fmt.Errorf("drop capabilities: %w", err)
	}
	return nil
}
