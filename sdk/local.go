package sdk

import (
	"errors"
	"net"
	"syscall"
)

// Local tells whether an error is a trouble of this node rather than of the target: a name that does not resolve, no free port or
// file descriptor, a source address or device that is not there, a socket option that needs a capability. Such a check could not
// be made, so [Fail] reports it as [Errorf] does; a plugin that words its failures itself asks first:
//
//	if sdk.Local(err) {
//		return sdk.Errorf("connect: %v", err)
//	}
//	return sdk.Failf("connect: %v", err)
func Local(err error) bool {
	if errors.As(err, new(*net.DNSError)) || errors.Is(err, ErrNoAddress) {
		return true
	}
	for _, number := range []syscall.Errno{
		syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, // this node has too much to do
		syscall.EADDRNOTAVAIL, syscall.EADDRINUSE, syscall.ENODEV, syscall.EINVAL, // no such source address or device, or no port of it free
		syscall.EPERM, syscall.EACCES, // no capability, or a packet filter of this node
		syscall.EAFNOSUPPORT,
	} {
		if errors.Is(err, number) {
			return true
		}
	}
	return false
}
