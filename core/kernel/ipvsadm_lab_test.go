//go:build lab

package kernel

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vipward/vipward/core/desired"
)

// saved is the table as `ipvsadm -Sn` saves it, sorted.
func (k *lvs) saved() []string {
	k.Helper()
	var out []byte
	err := k.ns.Do(func() (err error) { out, err = exec.Command("ipvsadm", "-Sn").Output(); return err })
	if err != nil {
		k.Fatalf("ipvsadm -Sn: %v", err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	for i, l := range lines {
		lines[i] = strings.TrimSpace(l)
	}
	slices.Sort(lines)
	return lines
}

// TestIPVSHasEveryFieldAsIpvsadmShowsIt changes one field of a service or real server, and reads it with ipvsadm.
func TestIPVSHasEveryFieldAsIpvsadmShowsIt(t *testing.T) {
	type change struct {
		name   string
		change func(*desired.Service)
		want   string
	}
	server := func(f func(*desired.Destination)) func(*desired.Service) {
		return func(s *desired.Service) { f(&s.Destinations[0]) }
	}
	cases := []change{
		{"nothing", func(*desired.Service) {}, "-A -t 10.0.0.1:80 -s wrr\n-a -t 10.0.0.1:80 -r 10.0.0.11:80 -g -w 1"},
		{"UDP", func(s *desired.Service) { s.Protocol = desired.UDP }, "-A -u 10.0.0.1:80 -s wrr\n-a -u 10.0.0.1:80 -r 10.0.0.11:80 -g -w 1"},
		{"SCTP", func(s *desired.Service) { s.Protocol = desired.SCTP }, "-A --sctp-service 10.0.0.1:80 -s wrr\n-a --sctp-service 10.0.0.1:80 -r 10.0.0.11:80 -g -w 1"},
		{"a mark", func(s *desired.Service) { s.ServiceKey = desired.Marked(7, false) }, "-A -f 7 -s wrr\n-a -f 7 -r 10.0.0.11:80 -g -w 1"},
		{"IPv6", func(s *desired.Service) {
			s.Address, s.Destinations[0].Address = netip.MustParseAddrPort("[2001:db8::1]:80"), netip.MustParseAddrPort("[2001:db8::11]:80")
		}, "-A -t [2001:db8::1]:80 -s wrr\n-a -t [2001:db8::1]:80 -r [2001:db8::11]:80 -g -w 1"},
		{"a mark over IPv6", func(s *desired.Service) {
			s.ServiceKey, s.Destinations[0].Address = desired.Marked(7, true), netip.MustParseAddrPort("[2001:db8::11]:0")
		}, "-A -f 7 -6 -s wrr\n-a -f 7 -6 -r [2001:db8::11]:0 -g -w 1"},
		{"persistence", func(s *desired.Service) { s.Persistence, s.Granularity = 50*time.Second, 32 }, "-A -t 10.0.0.1:80 -s wrr -p 50\n-a -t 10.0.0.1:80 -r 10.0.0.11:80 -g -w 1"},
		{"a granularity", func(s *desired.Service) { s.Persistence, s.Granularity = 50*time.Second, 24 }, "-A -t 10.0.0.1:80 -s wrr -p 50 -M 255.255.255.0\n-a -t 10.0.0.1:80 -r 10.0.0.11:80 -g -w 1"},
		{"a granularity over IPv6", func(s *desired.Service) {
			s.Address, s.Destinations, s.Persistence, s.Granularity = netip.MustParseAddrPort("[2001:db8::1]:80"), nil, time.Minute, 64
		}, "-A -t [2001:db8::1]:80 -s wrr -p 60 -M 64"},
		{"one packet", func(s *desired.Service) { s.Protocol, s.Flags = desired.UDP, desired.OnePacket }, "-A -u 10.0.0.1:80 -s wrr -o\n-a -u 10.0.0.1:80 -r 10.0.0.11:80 -g -w 1"},
		{"sh with its flags", func(s *desired.Service) { s.Scheduler, s.Flags = "sh", desired.SourcePort|desired.Fallback }, "-A -t 10.0.0.1:80 -s sh -b sh-fallback,sh-port\n-a -t 10.0.0.1:80 -r 10.0.0.11:80 -g -w 1"},
		{"mh with a flag", func(s *desired.Service) { s.Scheduler, s.Flags = "mh", desired.SourcePort }, "-A -t 10.0.0.1:80 -s mh -b mh-port\n-a -t 10.0.0.1:80 -r 10.0.0.11:80 -g -w 1"},
		{"an engine", func(s *desired.Service) {
			s.Protocol, s.Persistence, s.Granularity, s.Engine = desired.UDP, time.Minute, 32, "sip"
		}, "-A -u 10.0.0.1:80 -s wrr -p 60 --pe sip\n-a -u 10.0.0.1:80 -r 10.0.0.11:80 -g -w 1"},
		{"NAT with another port", server(func(d *desired.Destination) {
			d.Forward, d.Address = desired.NAT, netip.MustParseAddrPort("10.0.0.11:8080")
		}), "-A -t 10.0.0.1:80 -s wrr\n-a -t 10.0.0.1:80 -r 10.0.0.11:8080 -m -w 1"},
		{"a weight", server(func(d *desired.Destination) { d.Weight = 65535 }), "-A -t 10.0.0.1:80 -s wrr\n-a -t 10.0.0.1:80 -r 10.0.0.11:80 -g -w 65535"},
		{"a tunnel", server(func(d *desired.Destination) { d.Forward = desired.TUN }), "-A -t 10.0.0.1:80 -s wrr\n-a -t 10.0.0.1:80 -r 10.0.0.11:80 -i -w 1 --tun-type ipip"},
		{"GUE", server(func(d *desired.Destination) {
			d.Forward, d.Tunnel = desired.TUN, desired.Tunnel{Type: desired.GUE, Port: 6080, Checksum: desired.RemoteChecksum}
		}), "-A -t 10.0.0.1:80 -s wrr\n-a -t 10.0.0.1:80 -r 10.0.0.11:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-remcsum"},
		{"GRE", server(func(d *desired.Destination) {
			d.Forward, d.Tunnel = desired.TUN, desired.Tunnel{Type: desired.GRE, Checksum: desired.FullChecksum}
		}), "-A -t 10.0.0.1:80 -s wrr\n-a -t 10.0.0.1:80 -r 10.0.0.11:80 -i -w 1 --tun-type gre --tun-csum"},
		{"a tunnel to the other family", server(func(d *desired.Destination) {
			d.Forward, d.Address = desired.TUN, netip.MustParseAddrPort("[2001:db8::11]:80")
		}), "-A -t 10.0.0.1:80 -s wrr\n-a -t 10.0.0.1:80 -r [2001:db8::11]:80 -i -w 1 --tun-type ipip"},
	}
	// Not twos, which Debian's guest has not.
	for _, s := range []string{"rr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "mh", "sed", "nq", "fo", "ovf"} {
		cases = append(cases, change{
			"the scheduler " + s, func(d *desired.Service) { d.Scheduler = s },
			"-A -t 10.0.0.1:80 -s " + s + "\n-a -t 10.0.0.1:80 -r 10.0.0.11:80 -g -w 1",
		})
	}
	k := newLVS(t)
	s, stop := k.run("")
	defer stop()
	for _, c := range cases {
		want := service("10.0.0.1:80", "10.0.0.11:80")
		c.change(&want)
		k.wish(s, want)
		if got := strings.Join(k.saved(), "\n"); got != c.want {
			t.Errorf("%s: ipvsadm shows\n%s\nwant\n%s", c.name, got, c.want)
		}
	}
}

// Thresholds are what ipvsadm shows and does not save.
func TestIPVSHasThresholds(t *testing.T) {
	k := newLVS(t)
	s, stop := k.run("")
	defer stop()
	want := service("10.0.0.1:80", "10.0.0.11:80")
	want.Destinations[0].UpperThreshold, want.Destinations[0].LowerThreshold = 100, 50
	k.wish(s, want)
	var out []byte
	err := k.ns.Do(func() (err error) { out, err = exec.Command("ipvsadm", "-Ln", "--thresholds").Output(); return err })
	if got := strings.Join(strings.Fields(string(out)), " "); err != nil || !strings.Contains(got, "-> 10.0.0.11:80 100 50") {
		t.Errorf("ipvsadm shows %s (%v), want an upper one of 100 and a lower one of 50", got, err)
	}
}

// random is a table of a few services, in which every field occurs.
func random(r *rand.Rand) []desired.Service {
	var out []desired.Service
	keys := []desired.ServiceKey{
		{Address: netip.MustParseAddrPort("10.0.0.1:80"), Protocol: desired.TCP},
		{Address: netip.MustParseAddrPort("10.0.0.1:53"), Protocol: desired.UDP},
		{Address: netip.MustParseAddrPort("10.0.0.2:7"), Protocol: desired.SCTP},
		{Address: netip.MustParseAddrPort("[2001:db8::1]:80"), Protocol: desired.TCP},
		desired.Marked(7, false), desired.Marked(7, true), desired.Marked(8, false),
	}
	for _, key := range keys {
		if r.IntN(2) == 0 {
			continue
		}
		s := desired.Service{ServiceKey: key, Scheduler: []string{"rr", "wrr", "wlc", "sh", "mh"}[r.IntN(5)], Granularity: key.Address.Addr().BitLen()}
		if s.Scheduler == "sh" || s.Scheduler == "mh" {
			s.Flags = []desired.ServiceFlags{0, desired.Fallback, desired.SourcePort | desired.Fallback}[r.IntN(3)]
		}
		if r.IntN(2) == 0 {
			s.Persistence = time.Duration(1+r.IntN(100)) * time.Second
			s.Granularity -= 8 * r.IntN(2)
		}
		if key.Protocol == desired.UDP && s.Persistence > 0 && r.IntN(2) == 0 {
			s.Engine = "sip"
		} else if key.Protocol == desired.UDP && r.IntN(2) == 0 {
			s.Flags |= desired.OnePacket
		}
		for host := range 4 {
			if r.IntN(2) == 0 {
				s.Destinations = append(s.Destinations, randomServer(r, key, host+11))
			}
		}
		out = append(out, s)
	}
	return out
}

func randomServer(r *rand.Rand, key desired.ServiceKey, host int) desired.Destination {
	six := key.Address.Addr().Is6()
	d := desired.Destination{Forward: []desired.Forward{desired.DR, desired.NAT, desired.TUN}[r.IntN(3)], Weight: r.IntN(3)}
	if d.Forward == desired.TUN {
		d.Tunnel = []desired.Tunnel{{}, {Type: desired.GUE, Port: 6080}, {Type: desired.GRE, Checksum: desired.FullChecksum}}[r.IntN(3)]
	}
	if r.IntN(3) == 0 {
		d.UpperThreshold, d.LowerThreshold = 100, uint32(r.IntN(2)*50)
	}
	text := fmt.Sprintf("10.0.1.%d:%d", host, key.Address.Port())
	if six {
		text = fmt.Sprintf("[2001:db8::%d]:%d", host, key.Address.Port())
	}
	d.Address = netip.MustParseAddrPort(text)
	return d
}

// TestIPVSIsTheSameByWhateverWay applies 300 random tables one after the other. Each gives what it gives to an empty table, and
// to apply it a second time writes nothing.
func TestIPVSIsTheSameByWhateverWay(t *testing.T) {
	const seed = 6
	r := rand.New(rand.NewPCG(seed, seed))
	one := newLVS(t)
	s, stop := one.run("")
	defer stop()
	for n := range 300 {
		want := random(r)
		one.wish(s, want...)
		have := one.list()
		if diff := desired.DiffServices(want, have, everyKey(have)); len(diff) > 0 {
			t.Fatalf("table %d of seed %d: to apply it again would write %v", n, seed, diff)
		}
		fresh := newLVS(t)
		for _, op := range desired.DiffServices(want, nil, nil) {
			if err := fresh.ns.Do(func() error { return fresh.table.apply([]desired.ServiceOp{op})[0] }); err != nil {
				t.Fatalf("table %d of seed %d: %v", n, seed, err)
			}
		}
		if again := desired.DiffServices(fresh.list(), have, everyKey(have)); len(again) > 0 {
			t.Fatalf("table %d of seed %d: an empty table with it differs by %v", n, seed, again)
		}
		if n%30 == 0 { // a process takes long in the guest
			if a, b := one.saved(), fresh.saved(); !slices.Equal(a, b) {
				t.Fatalf("table %d of seed %d: ipvsadm shows\n%s\nand from an empty table\n%s", n, seed, strings.Join(a, "\n"), strings.Join(b, "\n"))
			}
		}
		fresh.close()
	}
}

func everyKey(table []desired.Service) map[desired.ServiceKey]bool {
	keys := map[desired.ServiceKey]bool{}
	for _, s := range table {
		keys[s.ServiceKey] = true
	}
	return keys
}

func TestIPVSTimeoutsAreSetAndPutBack(t *testing.T) {
	k := newLVS(t)
	timeouts := func() (have desired.Timeouts) {
		t.Helper()
		if err := k.ns.Do(func() (err error) { have, err = k.table.timeouts(); return err }); err != nil {
			t.Fatal(err)
		}
		return have
	}
	before := timeouts()
	record := t.TempDir() + "/services.json"
	s, stop := k.run(record)
	k.wishAlso(s, desired.Timeouts{TCP: 10 * time.Minute, UDP: 30 * time.Second})
	if got, want := timeouts(), (desired.Timeouts{TCP: 10 * time.Minute, TCPFin: before.TCPFin, UDP: 30 * time.Second}); got != want {
		t.Errorf("the time-outs are %+v, want %+v", got, want)
	}
	stop() // as a daemon that is killed
	s, stop = k.run(record)
	defer stop()
	k.wishAlso(s, desired.Timeouts{})
	if got := timeouts(); got != before {
		t.Errorf("afterwards the time-outs are %+v, want those from before, %+v", got, before)
	}
}
