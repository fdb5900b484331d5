package e2e

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/vipward/vipward/tests/lab/topology"
)

// systemdUser runs the unit with the drop-in that its comment describes, and kills it more often than systemd lets others be.
func systemdUser(t *T) {
	b := newBooted(newNet(t), "pair-vip.hcl", useVMAC())
	dir := b.m.Root + "/etc/systemd/system/vipward.service.d"
	t.Must(os.MkdirAll(dir, 0o755))
	t.Must(os.WriteFile(filepath.Join(dir, "user.conf"), []byte(b.dropIn()), 0o644))
	b.do("systemctl", "daemon-reload")
	b.exposed(2.6)
	b.do("systemctl", "start", "vipward")
	b.lb1.await("MASTER", down+notice+slack)
	b.lb2.start()
	b.lb2.await("BACKUP", notice+slack)
	b.alone(topology.LB1)
	uid := strings.TrimSpace(b.do("id", "-u", "vipward"))
	main := b.show("MainPID")
	if got := b.process(main, "Uid"); !strings.HasPrefix(got, uid+" ") {
		t.Errorf("the daemon runs as %s, want %s", got, uid)
	}
	const netAdminAndRaw = "0000000000003000"
	if got := b.process(main, "CapBnd"); got != netAdminAndRaw {
		t.Errorf("the daemon may get the capabilities %s, want %s", got, netAdminAndRaw)
	}
	b.confined("http", uid, "CapPrm", "CapAmb")

	for n := 1; n <= 6; n++ {
		b.signal("KILL")
		b.settles("NRestarts", strconv.Itoa(n), 5*time.Second)
		b.settles("SubState", "running", 5*time.Second)
	}
	b.lb1.await("MASTER", down+notice+slack) // on a busy machine so many starts may outlast the lease
	b.alone(topology.LB1)
	b.lb2.terminate()
	b.diesAtItsEnd()
}

// diesAtItsEnd: a daemon alone waits a moment for who takes over, and is killed then. It is not started again, and leaves nothing.
func (b *booted) diesAtItsEnd() {
	b.do("systemctl", "stop", "--no-block", "vipward")
	b.Eventually("the daemon ends", slack, func() error {
		_, err := os.Stat(b.lb1.socket + ".ending")
		return err
	})
	b.signal("KILL")
	b.settles("ActiveState", "failed", 5*time.Second)
	b.shows("Result", "signal")
	b.clean(slack)
}

// dropIn is the one in the unit's comment.
func (b *booted) dropIn() string {
	var lines []string
	text, err := os.ReadFile(b.m.Root + "/usr/lib/systemd/system/vipward.service")
	b.Must(err)
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "#   "); ok {
			lines = append(lines, rest)
		}
	}
	return strings.Join(lines, "")
}
