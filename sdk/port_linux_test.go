package sdk

import (
	"net"
	"net/netip"
	"syscall"
	"testing"
)

// A port that comes again too soon would lead a check through a VIP to the server of an earlier one.
func TestAMarkedConnectionGetsItsPortWithTheConnect(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	target := Target{Address: netip.MustParseAddrPort(l.Addr().String()), source: netip.MustParseAddr("127.0.0.1"), device: "lo"}
	conn, err := target.Dial(t.Context())
	if err != nil {
		t.Fatalf("this test needs root: %v", err)
	}
	defer conn.Close()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	value := 0
	read := func(fd uintptr) {
		value, err = syscall.GetsockoptInt(int(fd), syscall.SOL_IP, 24) // IP_BIND_ADDRESS_NO_PORT
	}
	if failed := raw.Control(read); failed != nil || err != nil || value != 1 {
		t.Errorf("the option is %d, %v, %v, want 1", value, err, failed)
	}
	if port := conn.LocalAddr().(*net.TCPAddr).Port; port == 0 {
		t.Error("the connection has no port")
	}
}
