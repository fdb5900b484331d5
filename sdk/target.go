package sdk

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// Target is what one run checks. It is a value: a check may change its copy, for example the port of Address.
type Target struct {
	// Name is for people and logs: "web 10.77.0.11:80".
	Name string
	// Address to check. Invalid for a check of the node itself, which knows from its configuration what to look at. The port
	// is 0 where the service has none.
	Address netip.AddrPort
	// Labels of the configuration; nil for none.
	Labels map[string]string

	source netip.Addr
	mark   uint32
	device string
}

// ErrNoAddress is what [Target.Dial] returns for a target without address or port.
var ErrNoAddress = errors.New("the target has no address and port")

// Dial connects to the target by TCP: from its source address, with its mark, through its device, until ctx ends. The connection
// has the deadline of ctx, so that reading and writing end with the run. The error of a connect is a failure of the target,
// except [ErrNoAddress].
func (t Target) Dial(ctx context.Context) (net.Conn, error) {
	if !t.Address.IsValid() || t.Address.Port() == 0 {
		return nil, ErrNoAddress
	}
	return t.DialContext(ctx, "tcp", t.Address.String())
}

// DialContext connects to any address of a network of [net.Dial] ("tcp", "udp", …): from the target's source address, with
// its mark, through its device, until ctx ends. It is for libraries that dial themselves and for what is no TCP; [Target.Dial]
// is simpler. The connection has the deadline of ctx.
func (t Target) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := t.dialerOf(network).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline) // a connection that takes none is broken, which its use will show
	}
	return conn, nil
}

// HTTPClient is a client for one run. It connects to the target whatever host a URL names, where the target has an address;
// the port of the URL counts where the target has none. It follows no redirect, uses no proxy, keeps no connection, and
// verifies certificates against the host of the URL. Its Transport is an *http.Transport that the caller may change.
func (t Target) HTTPClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext:            t.dialURL,
			DisableKeepAlives:      true,
			DisableCompression:     true,
			ForceAttemptHTTP2:      true,
			MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// dialURL connects to the target where it has an address, else to where the URL points.
func (t Target) dialURL(ctx context.Context, network, addr string) (net.Conn, error) {
	if !t.Address.IsValid() {
		return t.DialContext(ctx, network, addr)
	}
	if t.Address.Port() == 0 {
		_, port, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return nil, fmt.Errorf("port of %s: %w", addr, err)
		}
		t.Address = netip.AddrPortFrom(t.Address.Addr(), uint16(n))
	}
	return t.Dial(ctx)
}

func (t Target) dialerOf(network string) *net.Dialer {
	d := &net.Dialer{KeepAlive: -1, FallbackDelay: 300 * time.Millisecond}
	if t.mark != 0 || t.device != "" || !strings.HasPrefix(network, "tcp") {
		d.Control = t.Control // costs what a plain connection need not pay
	}
	source := netip.AddrPortFrom(t.source, 0)
	switch {
	case !t.source.IsValid():
	case strings.HasPrefix(network, "udp"):
		d.LocalAddr = net.UDPAddrFromAddrPort(source)
	case strings.HasPrefix(network, "ip"):
		d.LocalAddr = &net.IPAddr{IP: t.source.AsSlice(), Zone: t.source.Zone()}
	default:
		d.LocalAddr = net.TCPAddrFromAddrPort(source)
	}
	return d
}

// targetOf reads the target of an assignment.
func targetOf(a *pluginv1.Assignment) (Target, error) {
	t := Target{Name: a.GetTarget(), Labels: a.GetLabels(), mark: a.GetMark(), device: a.GetDevice()}
	var err error
	if a.GetAddress() != "" {
		if t.Address, err = netip.ParseAddrPort(a.GetAddress()); err != nil {
			return t, fmt.Errorf("address of the target: %w", err)
		}
	}
	if a.GetSourceAddress() != "" {
		if t.source, err = netip.ParseAddr(a.GetSourceAddress()); err != nil {
			return t, fmt.Errorf("source address: %w", err)
		}
	}
	return t, nil
}
