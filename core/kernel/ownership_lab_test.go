//go:build lab

package kernel

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// ipvsadm is somebody at the keyboard.
func (k *lvs) ipvsadm(args string) {
	k.Helper()
	err := k.ns.Do(func() error { return exec.Command("ipvsadm", strings.Fields(args)...).Run() })
	if err != nil {
		k.Fatalf("ipvsadm %s: %v", args, err)
	}
}

// TestIPVSChangedByHand has somebody change the table with ipvsadm: what is ours is as it was within a second and a little, with one
// line that says what was done; what is not ours stays.
func TestIPVSChangedByHand(t *testing.T) {
	const ours = "-A -t 10.0.0.1:80 -s wrr\n-a -t 10.0.0.1:80 -r 10.0.0.11:80 -g -w 1\n-a -t 10.0.0.1:80 -r 10.0.0.12:80 -g -w 1"
	for _, tt := range []struct {
		name, by string
		want     string // what is told; empty for nothing
		stays    string // what is there besides
	}{
		{"a server is deleted", "-d -t 10.0.0.1:80 -r 10.0.0.12:80", "the real server 10.0.0.12:80 of tcp 10.0.0.1:80 had been removed; it was put back", ""},
		{"a weight is changed", "-e -t 10.0.0.1:80 -r 10.0.0.12:80 -g -w 9", "the real server 10.0.0.12:80 of tcp 10.0.0.1:80 had been changed; it was changed back", ""},
		{"a method is changed", "-e -t 10.0.0.1:80 -r 10.0.0.12:80 -m -w 1", "the real server 10.0.0.12:80 of tcp 10.0.0.1:80 had been changed; it was changed back", ""},
		{"a server is added", "-a -t 10.0.0.1:80 -r 10.0.0.13:80 -g", "the real server 10.0.0.13:80 of tcp 10.0.0.1:80 had been added by somebody else; it was removed", ""},
		{"the scheduler is changed", "-E -t 10.0.0.1:80 -s rr", "the service tcp 10.0.0.1:80 had been changed; it was changed back", ""},
		{"persistence is added", "-E -t 10.0.0.1:80 -s wrr -p 60", "the service tcp 10.0.0.1:80 had been changed; it was changed back", ""},
		{"the service is deleted", "-D -t 10.0.0.1:80", "the service tcp 10.0.0.1:80 had been removed; it was put back; " +
			"the real server 10.0.0.11:80 of tcp 10.0.0.1:80 had been removed; it was put back; the real server 10.0.0.12:80 of tcp 10.0.0.1:80 had been removed; it was put back", ""},
		{"another service is added", "-A -t 10.0.0.9:80 -s rr", "", "-A -t 10.0.0.9:80 -s rr"},
		{"everything is deleted", "-C", "the service tcp 10.0.0.1:80 had been removed; it was put back; " +
			"the real server 10.0.0.11:80 of tcp 10.0.0.1:80 had been removed; it was put back; the real server 10.0.0.12:80 of tcp 10.0.0.1:80 had been removed; it was put back", ""},
	} {
		k := newLVS(t)
		s, stop := k.run(filepath.Join(t.TempDir(), "services.json"))
		want := service("10.0.0.1:80", "10.0.0.11:80", "10.0.0.12:80")
		want.Drain = time.Minute
		k.wish(s, want)
		k.ipvsadm(tt.by)
		began := time.Now()
		told := ""
		select {
		case r := <-k.reports:
			told = strings.Join(r.Repaired, "; ")
		case <-time.After(3 * pollEvery):
		}
		if took := time.Since(began); told != tt.want || tt.want != "" && took > 2*pollEvery {
			t.Errorf("%s: after %v it is told %q, want %q", tt.name, took, told, tt.want)
		}
		all := strings.Split(strings.TrimSpace(ours+"\n"+tt.stays), "\n")
		slices.Sort(all)
		if got := k.saved(); !slices.Equal(got, all) {
			t.Errorf("%s: then the table is\n%s", tt.name, strings.Join(got, "\n"))
		}
		stop()
		k.close()
	}
}
