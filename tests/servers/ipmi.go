package servers

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// BMC is a management controller of IPMI 2.0, the simulator of OpenIPMI, and the machine whose power it switches.
type BMC struct {
	*Process
	// Address is where the controller listens, by UDP.
	Address netip.AddrPort
	t       testing.TB
	dir     string
}

// bmcUsers are the users of the controller: fence may switch, look may only read.
const bmcConfig = `name "vipward"
set_working_mc 0x20
startlan 1
  addr %s %d
  priv_limit admin
  allowed_auths_callback none md2 md5 straight
  allowed_auths_user none md2 md5 straight
  allowed_auths_operator none md2 md5 straight
  allowed_auths_admin none md2 md5 straight
  guid a123456789abcdefa123456789abcdef
endlan
chassis_control "%s/chassis 0x20"
user 1 true "" "test" user 10 none md2 md5 straight
user 2 true "fence" "geheim" admin 10 none md2 md5 straight
user 3 true "look" "schauen" user 10 none md2 md5 straight
`

// bmcChassis is what the simulator calls: PROGRAM ADDRESS get|set KEY [VALUE]... A file "lies" keeps it from switching.
const bmcChassis = `#!/bin/sh
dir=%s
shift
op=$1
shift
while [ $# -gt 0 ]; do
	case $op,$1 in
	get,power) echo "power:$(cat $dir/power)" ;;
	set,power)
		[ -e $dir/lies ] || echo "$2" >$dir/power
		shift
		;;
	esac
	shift
done
`

// StartBMC starts a controller on an address of the loopback interface. The machine's power is on. The user fence has the password
// geheim and may switch; the user look has the password schauen and may not. It knows cipher suite 3, and not 17.
func StartBMC(t testing.TB) *BMC {
	t.Helper()
	b := &BMC{t: t, dir: t.TempDir()}
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.Address = conn.LocalAddr().(*net.UDPAddr).AddrPort()
	conn.Close()
	for name, text := range map[string]string{
		"lan.conf": fmt.Sprintf(bmcConfig, b.Address.Addr(), b.Address.Port(), b.dir),
		"sim.emu":  "mc_setbmc 0x20\nmc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02\nmc_enable 0x20\n",
		"chassis":  fmt.Sprintf(bmcChassis, b.dir),
		"power":    "1\n",
		"password": "geheim\n",
	} {
		if err := os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	b.Process = Start(t, func(c *exec.Cmd) { c.Dir = b.dir }, "ipmi_sim", "-n", "-c", "lan.conf", "-f", "sim.emu", "-s", b.dir)
	b.Until("answering", func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		out, err := exec.CommandContext(ctx, "ipmitool", "-I", "lanplus", "-C", "3", "-H", b.Address.Addr().String(), "-p",
			fmt.Sprint(b.Address.Port()), "-U", "fence", "-f", filepath.Join(b.dir, "password"), "-N", "1", "-R", "1", "chassis", "power", "status").CombinedOutput()
		if err != nil {
			return fmt.Errorf("ipmitool: %w\n%s", err, out)
		}
		return nil
	})
	return b
}

// Lie makes the controller say that it has switched, and not do it.
func (b *BMC) Lie() {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, "lies"), nil, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// Powered tells whether the machine has power.
func (b *BMC) Powered() bool {
	b.t.Helper()
	text, err := os.ReadFile(filepath.Join(b.dir, "power"))
	if err != nil {
		b.t.Fatal(err)
	}
	return strings.TrimSpace(string(text)) == "1"
}
