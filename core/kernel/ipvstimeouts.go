package kernel

import (
	"cmp"
	"fmt"
	"time"

	"github.com/cloudflare/ipvs"

	"github.com/vipward/vipward/core/desired"
)

// applyTimeouts sets the time-outs that are wished for, and puts back what was there before where they are not any more.
func (a *serviceApplier) applyTimeouts() error {
	if a.timeouts == (desired.Timeouts{}) && a.owned.before == nil {
		return nil
	}
	have, err := a.backend.timeouts()
	if err != nil {
		return err
	}
	before := have
	if a.owned.before != nil {
		before = *a.owned.before
	}
	want := orTimeouts(a.timeouts, before)
	if a.owned.before == nil {
		if err := a.owned.setBefore(&before); err != nil {
			a.log.Warn("after a crash, the time-outs of IPVS may stay as the configuration has them", "error", err)
		}
	}
	if want != have {
		if err := a.backend.setTimeouts(want); err != nil {
			return err
		}
	}
	if a.timeouts == (desired.Timeouts{}) {
		if err := a.owned.setBefore(nil); err != nil {
			a.log.Warn("the record of IPVS's former time-outs stays", "error", err)
		}
	}
	return nil
}

func (b *backend) timeouts() (desired.Timeouts, error) {
	var c ipvs.Config
	err := b.call(func(t ipvsTable) (err error) { c, err = t.Config(); return err })
	if err != nil {
		return desired.Timeouts{}, fmt.Errorf("read the time-outs of IPVS: %w", err)
	}
	seconds := func(n uint32) time.Duration { return time.Duration(n) * time.Second }
	return desired.Timeouts{TCP: seconds(c.TCPTimeout), TCPFin: seconds(c.TCPFinTimeout), UDP: seconds(c.UDPTimeout)}, nil
}

func (b *backend) setTimeouts(t desired.Timeouts) error {
	seconds := func(d time.Duration) uint32 { return uint32(d / time.Second) }
	c := ipvs.Config{TCPTimeout: seconds(t.TCP), TCPFinTimeout: seconds(t.TCPFin), UDPTimeout: seconds(t.UDP)}
	if err := b.call(func(t ipvsTable) error { return t.SetConfig(c) }); err != nil {
		return fmt.Errorf("set the time-outs of IPVS: %w", err)
	}
	return nil
}

// orTimeouts fills what is not wished for from what was there before.
func orTimeouts(t, before desired.Timeouts) desired.Timeouts {
	return desired.Timeouts{TCP: cmp.Or(t.TCP, before.TCP), TCPFin: cmp.Or(t.TCPFin, before.TCPFin), UDP: cmp.Or(t.UDP, before.UDP)}
}
