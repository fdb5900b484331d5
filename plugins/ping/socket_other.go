//go:build !linux

package ping

import (
	"context"
	"errors"
	"net/netip"

	"github.com/vipward/vipward/sdk"
)

var errNoPermission = errors.New("no permission for ICMP")

// open refuses: the sockets are Linux's.
func open(context.Context, sdk.Target, netip.Addr) (socket, error) {
	return socket{}, errors.New("ping needs Linux")
}
