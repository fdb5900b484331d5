package sdk

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestRawSocketsHaveTheSourceOfTheTarget(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	conn, err := Target{source: netip.MustParseAddr("127.0.0.3")}.DialContext(ctx, "ip4:1", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got := conn.LocalAddr().String(); got != "127.0.0.3" {
		t.Errorf("the socket is bound to %s, want 127.0.0.3", got)
	}
}

func TestASocketOfThePluginsOwn(t *testing.T) {
	target := Target{source: netip.MustParseAddr("127.0.0.3"), device: "no-such-device"}
	if got := target.Source().String(); got != "127.0.0.3" {
		t.Errorf("Source = %s, want 127.0.0.3", got)
	}
	listen := net.ListenConfig{Control: target.Control}
	_, err := listen.ListenPacket(t.Context(), "udp4", "127.0.0.1:0")
	if err == nil || !strings.Contains(err.Error(), "bind to no-such-device") || !Local(err) {
		t.Errorf("a device that is not there: %v, which is local: %v", err, Local(err))
	}
	listen.Control = Target{}.Control
	conn, err := listen.ListenPacket(t.Context(), "udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("without source, mark and device: %v", err)
	}
	conn.Close()
}
