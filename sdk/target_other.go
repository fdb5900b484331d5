//go:build !linux

package sdk

import (
	"errors"
	"syscall"
)

// socketOptions refuses: marks and devices are Linux's.
func socketOptions(uint32, string) func(network, address string, c syscall.RawConn) error {
	return func(string, string, syscall.RawConn) error {
		return errors.New("a mark or a device needs Linux")
	}
}
