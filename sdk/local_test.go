package sdk

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

func TestTheTroublesOfThisNodeAreNoFailuresOfTheTarget(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		want string
	}{
		{"nothing", nil, "pass"},
		{"a name that does not resolve", &net.DNSError{Name: "a.invalid", Err: "no such host"}, "error"},
		{"a target without an address", fmt.Errorf("dial: %w", ErrNoAddress), "error"},
		{"too many open files", os.NewSyscallError("socket", syscall.EMFILE), "error"},
		{"no capability for a mark", fmt.Errorf("set the mark 7: %w", syscall.EPERM), "error"},
		{"a device that is not there", fmt.Errorf("bind to eth9: %w", syscall.ENODEV), "error"},
		{"a closed port", os.NewSyscallError("connect", syscall.ECONNREFUSED), "fail"},
		{"a host that is off", os.NewSyscallError("connect", syscall.EHOSTUNREACH), "fail"},
		{"a time-out", os.ErrDeadlineExceeded, "fail"},
		{"an answer that breaks off", io.ErrUnexpectedEOF, "fail"},
	} {
		if got := Fail(tt.err).Status(); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestASourceAddressThatIsNotHereIsNoFailureOfTheTarget(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	target, err := targetOf(&pluginv1.Assignment{Address: l.Addr().String(), SourceAddress: "192.0.2.1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = target.Dial(t.Context()); err == nil || !Local(err) {
		t.Errorf("Local(%v) = false, want true", err)
	}
	target.source, target.device = netip.Addr{}, "vipward-none"
	if _, err = target.Dial(t.Context()); err == nil || !Local(err) {
		t.Errorf("Local(%v) = false, want true", err)
	}
}
