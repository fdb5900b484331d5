package sdk

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"
	"time"
)

func TestAConnectionHasTheDeadlineOfTheRun(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // connects, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	conn, err := Target{Address: l.Addr().(*net.TCPAddr).AddrPort()}.Dial(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	began := time.Now()
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) > 5*time.Second {
		t.Errorf("Read = %v after %v", err, time.Since(began))
	}
}
