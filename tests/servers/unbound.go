package servers

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Unbound is a name server that answers by UDP and TCP for what it was given, refuses clients from 127.0.0.66, and asks nobody else.
type Unbound struct {
	*Process
	Address netip.AddrPort
}

// unboundConfig has the address, the port, the folder and the records. A zone of the type static knows no other names.
const unboundConfig = `server:
  interface: %[1]s
  port: %[2]d
  directory: "%[3]s"
  username: ""
  chroot: ""
  pidfile: ""
  use-syslog: no
  do-daemonize: no
  num-threads: 1
  module-config: "iterator"
  do-not-query-localhost: yes
  access-control: 127.0.0.0/8 allow
  access-control: 127.0.0.66/32 refuse
  local-zone: "example.test." static
%[4]sremote-control:
  control-enable: no
forward-zone:
  name: "."
  forward-addr: 127.0.0.1@1
`

// StartUnbound starts a name server with records of the zone example.test, each as a line of a zone file.
func StartUnbound(t testing.TB, records ...string) *Unbound {
	t.Helper()
	dir := t.TempDir()
	u := &Unbound{Address: FreePort(t, "127.0.0.1")}
	var data strings.Builder
	for _, r := range records {
		fmt.Fprintf(&data, "  local-data: '%s'\n", r)
	}
	file := filepath.Join(dir, "unbound.conf")
	text := fmt.Sprintf(unboundConfig, u.Address.Addr(), u.Address.Port(), dir, data.String())
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	u.Process = Start(t, func(c *exec.Cmd) { c.SysProcAttr.Pdeathsig = syscall.SIGKILL }, "/usr/sbin/unbound", "-d", "-c", file)
	u.Until("listening", func() error {
		conn, err := net.DialTimeout("tcp", u.Address.String(), time.Second)
		if err == nil {
			conn.Close()
		}
		return err
	})
	return u
}
