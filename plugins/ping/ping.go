// Package ping is the checker "ping": ICMP echo requests over IPv4 and IPv6 (RFC 792, RFC 4443), and limits for how many get
// lost and how long the others take. It tells that a host is there, and nothing of the services on it.
package ping

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/access"
)

// Config is the block of the checker.
type Config struct {
	Address      string        `vipward:"address" doc:"Host or address to ping, for a check of the node itself."`
	Count        int           `vipward:"count" default:"1" min:"1" max:"100" doc:"Echo requests in one run."`
	Gap          time.Duration `vipward:"gap" default:"100ms" min:"1ms" max:"10s" doc:"Time between two of them."`
	Size         int           `vipward:"size" default:"56" min:"8" max:"65000" doc:"Bytes of data in each, behind the 8 bytes of the header."`
	MaxLoss      int           `vipward:"max_loss_percent" min:"0" max:"99" doc:"Share of the requests that may get lost. Default: none."`
	MaxRoundTrip time.Duration `vipward:"max_round_trip" min:"100us" doc:"How long the round trips may take on average. Default: up to the timeout."`
}

// Component is the checker for [sdk.Serve].
func Component() sdk.Component { return sdk.Checker("ping", check, summary()) }

func summary() sdk.Option {
	return sdk.Summary("sends ICMP echo requests; limits for the loss and for the round trip")
}

// Validate reports what the tags cannot.
func (c *Config) Validate() error {
	if strings.ContainsAny(c.Address, " /\t\r\n") || isEndpoint(c.Address) {
		return sdk.PathError(fmt.Errorf("%q is no host and no address; ICMP has no ports", c.Address), "address")
	}
	return nil
}

// isEndpoint tells whether an address has a port.
func isEndpoint(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return false
	}
	_, _, err := net.SplitHostPort(s)
	return err == nil
}

func check(ctx context.Context, t sdk.Target, c Config) sdk.Result {
	addr, err := c.where(ctx, t)
	if e := (*net.DNSError)(nil); errors.As(err, &e) {
		return access.Unreachable(err)
	}
	if err != nil {
		return sdk.Errorf("%v", err)
	}
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < time.Duration(c.Count-1)*c.Gap {
		return sdk.Errorf("%d requests with a gap of %v do not fit into the timeout", c.Count, c.Gap)
	}
	s, err := open(ctx, t, addr)
	if err != nil {
		return unable(addr, err)
	}
	defer s.conn.Close()
	r, err := s.exchange(ctx, newEchoes(addr.Is6(), c.Size), c.Count, c.Gap)
	if err != nil {
		return unable(addr, err)
	}
	return c.judge(addr, r)
}

// unable is the result where the kernel makes no socket, or sends nothing by it.
func unable(addr netip.Addr, err error) sdk.Result {
	words := access.Words(err)
	if e := (*os.SyscallError)(nil); errors.As(err, &e) {
		words = e.Err.Error() // whatever the call was
	}
	if errors.Is(err, errNoPermission) || sdk.Local(err) {
		return sdk.Errorf("ping %s: %s", addr, words)
	}
	return sdk.Failf("ping %s: %s", addr, words)
}

// where is the address to ping: the target's, or what address says.
func (c *Config) where(ctx context.Context, t sdk.Target) (netip.Addr, error) {
	if t.Address.IsValid() {
		return t.Address.Addr().Unmap(), nil
	}
	if c.Address == "" {
		return netip.Addr{}, errors.New("a check of the node itself needs address")
	}
	if a, err := netip.ParseAddr(c.Address); err == nil {
		return a.Unmap(), nil
	}
	network := "ip"
	switch source := t.Source(); {
	case source.Is4():
		network = "ip4"
	case source.Is6():
		network = "ip6"
	}
	all, err := net.DefaultResolver.LookupNetIP(ctx, network, c.Address)
	if err != nil {
		return netip.Addr{}, err
	}
	return all[0].Unmap(), nil
}

// judge says what a round means, with its figures.
func (c *Config) judge(addr netip.Addr, r round) sdk.Result {
	loss := 100 * float64(r.sent-len(r.trips)) / float64(r.sent)
	average := r.average().Round(time.Microsecond)
	result := sdk.Pass()
	switch {
	case len(r.trips) == 0:
		result = sdk.Failf("ping %s: no answer to %s: %s", addr, requests(r.sent), r.why())
	case loss > float64(c.MaxLoss):
		result = sdk.Failf("ping %s: %d of %s lost, %.0f %%, want at most %d %%: %s",
			addr, r.sent-len(r.trips), requests(r.sent), loss, c.MaxLoss, r.why())
	case c.MaxRoundTrip > 0 && average > c.MaxRoundTrip:
		result = sdk.Failf("ping %s: the round trip takes %v on average, want at most %v", addr, average, c.MaxRoundTrip)
	}
	result = result.Value("loss_percent", loss)
	if len(r.trips) == 0 {
		return result
	}
	return result.Value("round_trip_seconds", r.average().Seconds()).Value("round_trip_max_seconds", r.longest().Seconds())
}

func requests(n int) string {
	if n == 1 {
		return "1 request"
	}
	return fmt.Sprintf("%d requests", n)
}
