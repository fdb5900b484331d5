package kernel

import (
	"context"
	"fmt"
	"log/slog"

	"golang.org/x/sync/errgroup"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/node"
)

// Clean removes what a daemon that is dead has left in the network namespace of the calling thread, by the marks of ownership:
// addresses, interfaces of virtual MAC addresses, routes, rules and tables of nftables. It is the wish for nothing, applied as by a
// daemon. IPVS stays: its connections outlive a daemon.
func Clean(ctx context.Context, log *slog.Logger) error {
	a, err := NewAddresses(AddressOptions{Logger: log, Report: func(node.Applied) {}})
	if err != nil {
		return err
	}
	r := NewRefusals(TableOptions{Logger: log, Report: func(string) {}})
	m := NewMarkings(TableOptions{Logger: log, Report: func(string) {}})
	f := NewFastLeases(FastLeaseOptions{Logger: log, Report: func(string) {}})
	a.Set(&desired.State{})
	r.Set(nil)
	m.Set(nil)
	running, stop := context.WithCancel(ctx)
	defer stop()
	g := errgroup.Group{}
	for _, run := range []func(context.Context) error{a.Run, f.Run, r.Run, m.Run} {
		g.Go(func() error { return run(running) })
	}
	gone := func(ctx context.Context) error {
		err := a.Wait(ctx)
		f.Set(nil) // not before: a VIP without a fast lease would be answered for again
		return err
	}
	for _, wait := range []func(context.Context) error{gone, f.Wait, r.Wait, m.Wait} {
		if err := wait(ctx); err != nil {
			return fmt.Errorf("remove what a dead daemon has left: %w", err)
		}
	}
	stop()
	if err := g.Wait(); err != nil {
		return err
	}
	leased, kept, err := Remaining()
	if err == nil && leased+kept > 0 {
		err = fmt.Errorf("%d addresses could not be removed", leased+kept)
	}
	return err
}

// Remaining counts the addresses that bear the mark: those whose lease still runs, and those that have none.
func Remaining() (leased, kept int, err error) {
	r, err := dialRoute()
	if err != nil {
		return 0, 0, err
	}
	defer r.close()
	entries, err := r.list()
	if err != nil {
		return 0, 0, err
	}
	for _, e := range entries {
		switch {
		case e.mark != mark:
		case e.valid > 0:
			leased++
		default:
			kept++
		}
	}
	return leased, kept, nil
}
