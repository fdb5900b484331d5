package e2e

import (
	"time"

	"github.com/vipward/vipward/tests/lab/topology"
)

// systemdIPVS has a service on one node alone, whose VIP has no lease: what is gone after a crash, the unit's stop hook has removed.
func systemdIPVS(t *T) {
	l := newNet(t)
	l.realServers("dr")
	b := newBooted(l, "pair-dr.hcl", edit{"  advert_interval ", "  lease             = \"off\"\n  advert_interval "})
	good := b.lb1.text()
	b.do("systemctl", "start", "vipward")
	b.serves("")
	table := b.lb1.table()
	b.lb1.write("bogus = 1\n")
	b.signal("KILL")
	b.settles("ActiveState", "failed", 15*time.Second)
	b.Eventually("the VIP is gone", slack, func() error { return b.owner("") })
	if now := b.lb1.table(); now != table {
		t.Errorf("IPVS was %q, and is %q", table, now)
	}

	b.lb1.write(good)
	b.do("systemctl", "start", "vipward")
	b.serves(table)
	b.do("systemctl", "stop", "vipward")
	b.shows("ActiveState", "inactive", "Result", "success")
	b.clean(slack)
	if left := b.lb1.table(); left != "" {
		t.Errorf("after systemctl stop IPVS has %q", left)
	}
}

// serves waits until lb1 holds the VIP and has both servers in IPVS, which is never anything but that table meanwhile, where there is one.
func (b *booted) serves(table string) {
	b.Eventually("lb1 holds the VIP and has both servers", 15*time.Second, func() error {
		if now := b.lb1.table(); table != "" && now != table {
			b.Fatalf("IPVS was %q, and is %q", table, now)
		}
		for _, server := range []string{server1, server2} {
			if err := b.lb1.has(server, true); err != nil {
				return err
			}
		}
		return b.owner(topology.LB1)
	})
}
