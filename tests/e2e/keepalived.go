package e2e

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/vipward/vipward/tests/lab/proc"
	"github.com/vipward/vipward/tests/lab/scenario"
	"github.com/vipward/vipward/tests/lab/topology"
)

// keepalived is Debian's keepalived on a node, as the other router of the pair.
type keepalived struct {
	lab      *lab
	node     *topology.Node
	version  int
	password string
	advert   time.Duration // 0 for 1 s
	vmac     bool          // with a virtual MAC address
	proc     *proc.Process
}

// start starts it with a priority. Its own state comes from the election, not from the configuration.
func (k *keepalived) start(priority int) {
	dir := filepath.Join(k.lab.Dir, k.node.Name+"-keepalived")
	k.lab.Must(os.MkdirAll(dir, 0o755))
	auth := ""
	if k.password != "" {
		auth = fmt.Sprintf("  authentication {\n    auth_type PASS\n    auth_pass %s\n  }\n", k.password)
	}
	dev := " dev eth0"
	if k.vmac {
		auth += "  use_vmac vrrp.51\n"
		dev = ""
	}
	text := fmt.Sprintf(`global_defs {
  router_id %s
  vrrp_version %d
}
vrrp_instance web {
  state BACKUP
  interface eth0
  virtual_router_id %d
  priority %d
  advert_int %g
%s  virtual_ipaddress {
    %v/32%s
  }
}
`, k.node.Name, k.version, vrid, priority, cmp.Or(k.advert, interval).Seconds(), auth, topology.VIP, dev)
	config := filepath.Join(dir, "keepalived.conf")
	k.lab.Must(os.WriteFile(config, []byte(text), 0o644))
	k.lab.Logf("keepalived starts on %s, version %d, priority %d", k.node.Name, k.version, priority)
	p, err := proc.Start(k.node.NS, filepath.Join(dir, "log"), "keepalived", "--dont-fork", "--log-console", "--log-detail", "--vrrp",
		"--use-file", config, "--pid", filepath.Join(dir, "pid"), "--vrrp_pid", filepath.Join(dir, "vrrp_pid"))
	k.lab.Must(err)
	k.proc = p
	k.lab.Cleanup(func() {
		if k.lab.Failed() {
			k.lab.Logf("--- what keepalived on %s said last:\n%s", k.node.Name, scenario.Tail(p.Log(), 30))
		}
		p.Kill()
	})
}
