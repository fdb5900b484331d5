package sdk

import (
	"fmt"
	"os"
	"strings"
	"syscall"
)

// setOptions marks a socket and binds it to a device, before it connects (SO_MARK and SO_BINDTODEVICE of socket(7)).
func setOptions(fd int, mark uint32, device string) error {
	if mark != 0 {
		if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_MARK, int(mark)); err != nil {
			return fmt.Errorf("set the mark %d: %w", mark, err)
		}
	}
	if device != "" {
		if err := syscall.BindToDevice(fd, device); err != nil {
			return fmt.Errorf("bind to %s: %w", device, err)
		}
	}
	return nil
}

// choosePortLate has a TCP socket that is bound to an address get its port with the connect only (IP_BIND_ADDRESS_NO_PORT of ip(7)).
// The kernel then goes through its ports one after the other for each target, where it would choose at random: a port does not come
// again while somebody on the way, such as IPVS, still knows of its last connection. A kernel that cannot do so is no trouble.
func choosePortLate(fd int, network string) {
	const bindAddressNoPort = 24
	if strings.HasPrefix(network, "tcp") {
		_ = syscall.SetsockoptInt(fd, syscall.SOL_IP, bindAddressNoPort, 1)
	}
}

// hearErrors has a socket for datagrams tell of every ICMP error, as "no route to host", and not only of those that the kernel
// takes for final (IP_RECVERR of ip(7)).
func hearErrors(fd int, network string) error {
	if !strings.HasPrefix(network, "udp") && !strings.HasPrefix(network, "ip") {
		return nil
	}
	level, option := syscall.SOL_IP, syscall.IP_RECVERR
	if strings.HasSuffix(network, "6") {
		level, option = syscall.SOL_IPV6, syscall.IPV6_RECVERR
	}
	return os.NewSyscallError("setsockopt", syscall.SetsockoptInt(fd, level, option, 1))
}
