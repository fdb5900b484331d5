package kernel

import (
	"context"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// watchRoutes calls drift whenever a route or a rule of ours was deleted, by whomever, until ctx ends. It has a subscription of its
// own, and is called only where there are routes to watch: a machine that speaks BGP may tell of thousands a second. What is lost
// of these costs a look.
func watchRoutes(ctx context.Context, drift func()) error {
	s, err := nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE, unix.RTNLGRP_IPV4_RULE, unix.RTNLGRP_IPV6_RULE)
	if err != nil {
		return fmt.Errorf("subscribe to routes: %w", err)
	}
	if s.SetReceiveBufferSize(linkBuffer, true) != nil { // beyond the limit only with CAP_NET_ADMIN
		_ = s.SetReceiveBufferSize(linkBuffer, false)
	}
	context.AfterFunc(ctx, s.Close)
	drift() // what happened before the subscription was told to nobody
	go func() {
		for {
			messages, from, err := s.Receive()
			switch {
			case errors.Is(err, unix.ENOBUFS):
				drift()
				continue
			case err != nil:
				return // closed
			case from.Pid != nl.PidKernel:
				continue // some process plays the kernel
			}
			for _, m := range messages {
				if deletesOurs(m.Header.Type, m.Data) {
					drift()
				}
			}
		}
	}()
	return nil
}

func deletesOurs(typ uint16, data []byte) (ours bool) {
	switch typ {
	case unix.RTM_DELROUTE:
		_, ours = parseRoute(data, nil)
	case unix.RTM_DELRULE:
		_, ours = parseRule(data)
	}
	return ours
}
