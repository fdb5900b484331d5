package config

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/node"
)

const vipOfWeb = `virtual_address "10.0.0.100/32" {}`

func TestSyncWithItsDefaults(t *testing.T) {
	cfg := mustLoad(t, instanceWith("web", vipOfWeb)+syncWith(""), "a").Node
	want := node.Sync{
		Instance: "web", Complete: 23 * time.Second,
		Daemon: desired.Sync{Interface: "eth0", ID: 51, Group: desired.SyncGroup(), Port: 8848, TTL: 1},
	}
	if cfg.Sync != want || !cfg.Instances[0].PreemptWhenSynced {
		t.Errorf("it is %+v, and the instance waits for it: %v; want %+v", cfg.Sync, cfg.Instances[0].PreemptWhenSynced, want)
	}
	if got := fmt.Sprint(cfg.Sysctls); got != "[{net/ipv4/vs/sync_refresh_period 10} {net/ipv4/vs/sync_threshold 3 0}]" {
		t.Errorf("the sysctls are %s", got)
	}
}

func TestSyncWithEveryAttribute(t *testing.T) {
	cfg := mustLoad(t, instanceWith("web", vipOfWeb+"\npreempt_when_synced = false")+
		syncWith("id = 0\n group = \"ff02::81\"\n port = 8849\n ttl = 3\n maxlen = 1400\n refresh = \"5s\""), "a").Node
	daemon := desired.Sync{Interface: "eth0", Group: netip.MustParseAddr("ff02::81"), Port: 8849, TTL: 3, MaxLength: 1400}
	if want := (node.Sync{Instance: "web", Daemon: daemon, Complete: 13 * time.Second}); cfg.Sync != want {
		t.Errorf("it is %#v, want %#v", cfg.Sync, want)
	}
	if cfg.Instances[0].PreemptWhenSynced {
		t.Error("the instance waits for it")
	}
}

func TestSysctlsOfServices(t *testing.T) {
	const sysctls = "ipvs {\n sysctl = { conn_reuse_mode = 1, \"net.ipv4.ip_forward\" = \"1\", \"net.ipv4.conf.eth0/100.rp_filter\" = 2 }\n}\n"
	persistent := serviceWith("address = \"10.0.0.100:80\"\n forward = \"nat\"\n persistence = \"1m\"\n real_server \"10.0.0.11:80\" {}")
	for _, tt := range []struct{ name, text, want string }{
		{"none", "ipvs {}\n", "[]"},
		{"as an operator wants them", sysctls, "[{net/ipv4/vs/conn_reuse_mode 1} {net/ipv4/conf/eth0.100/rp_filter 2} {net/ipv4/ip_forward 1}]"},
		{"with persistence", persistent, "[{net/ipv4/vs/expire_quiescent_template 1}]"},
		{"an operator's word goes before", persistent + "ipvs {\n sysctl = { expire_quiescent_template = 0 }\n}", "[{net/ipv4/vs/expire_quiescent_template 0}]"},
	} {
		if got := fmt.Sprint(mustLoad(t, tt.text, "a").Node.Sysctls); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}
