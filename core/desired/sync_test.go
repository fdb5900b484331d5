package desired

import (
	"fmt"
	"testing"
)

func TestDiffSync(t *testing.T) {
	daemon := func(role SyncRole, iface string) Sync {
		return Sync{Role: role, Interface: iface, ID: 51, Group: SyncGroup(), Port: SyncPort, TTL: SyncTTL}
	}
	master, backup := daemon(SyncMaster, "eth0"), daemon(SyncBackup, "eth0")
	chosen, long := master, master
	chosen.MaxLength, long.MaxLength = 1472, 1000
	both := map[SyncRole]bool{SyncMaster: true, SyncBackup: true}
	for _, tt := range []struct {
		name  string
		want  Sync
		have  []Sync
		owned map[SyncRole]bool
		ops   string
	}{
		{"nothing", Sync{}, nil, nil, "[]"},
		{"the first one", backup, nil, nil, "[start the synchronisation of connections as backup on eth0]"},
		{"it is there", backup, []Sync{backup}, nil, "[]"},
		{"the kernel chose the length", master, []Sync{chosen}, nil, "[]"},
		{"another length", long, []Sync{chosen}, nil, "[stop the synchronisation of connections as master on eth0 start the synchronisation of connections as master on eth0]"},
		{"a new role begins before the old one ends", master, []Sync{backup}, both, "[start the synchronisation of connections as master on eth0 stop the synchronisation of connections as backup on eth0]"},
		{"somebody else's other role stays", master, []Sync{backup}, nil, "[start the synchronisation of connections as master on eth0]"},
		{"somebody else's same role makes room", daemon(SyncMaster, "eth1"), []Sync{master}, nil, "[stop the synchronisation of connections as master on eth0 start the synchronisation of connections as master on eth1]"},
		{"not wished for any more", Sync{}, []Sync{master, backup}, map[SyncRole]bool{SyncMaster: true}, "[stop the synchronisation of connections as master on eth0]"},
	} {
		if got := fmt.Sprint(DiffSync(tt.want, tt.have, tt.owned)); got != tt.ops {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.ops)
		}
	}
}
