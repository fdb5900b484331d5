package control

import (
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// peerConn is a connection of the unix socket whose remote address names the process at its other end: clients of unix
// sockets have no address of their own, and the log of a command should say who gave it.
type peerConn struct {
	net.Conn
	peer peerAddr
}

func (c *peerConn) RemoteAddr() net.Addr { return c.peer }

// peerAddr is what the kernel says of a peer (SO_PEERCRED in unix(7)).
type peerAddr struct {
	uid uint32
	pid int32
}

func (a peerAddr) Network() string { return "unix" }
func (a peerAddr) String() string  { return fmt.Sprintf("uid %d pid %d", a.uid, a.pid) }

// named is the connection with its peer's name, or as it was where the kernel does not tell.
func named(c net.Conn) net.Conn {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return c
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return c
	}
	var cred *unix.Ucred
	var credErr error
	err = raw.Control(func(fd uintptr) { cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err != nil || credErr != nil {
		return c
	}
	return &peerConn{Conn: c, peer: peerAddr{cred.Uid, cred.Pid}}
}
