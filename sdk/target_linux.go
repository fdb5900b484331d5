package sdk

import (
	"fmt"
	"syscall"
)

// socketOptions marks a socket and binds it to a device, before it connects (SO_MARK and SO_BINDTODEVICE of socket(7)).
func socketOptions(mark uint32, device string) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) { failed = setOptions(int(fd), mark, device) })
		if err != nil {
			return err
		}
		return failed
	}
}

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
