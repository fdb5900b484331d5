package wire

import (
	"errors"
	"net"

	"golang.org/x/sys/unix"
)

func setTTL(c *net.UDPConn, ttl int) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	err = raw.Control(func(fd uintptr) { set = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_TTL, ttl) })
	return errors.Join(err, set)
}
