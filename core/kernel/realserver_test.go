package kernel

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
)

// server is a real server's kernel, with the directory of its record.
type server struct {
	*host
	dir string
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{newHost(t), filepath.Join(t.TempDir(), "record")}
	s.ipv6("on")
	return s
}

func wishFor(vips ...string) RealServer {
	r := RealServer{Interface: "lo"}
	for _, v := range vips {
		r.VIPs = append(r.VIPs, netip.MustParseAddr(v))
	}
	return r
}

// setUp returns what has changed.
func (s *server) setUp(r RealServer) (changed []string) {
	s.Helper()
	s.do(func() (err error) { changed, err = r.SetUp(s.dir); return err })
	return changed
}

// problems are the beginnings of what a check says.
func (s *server) problems(r RealServer) string {
	s.Helper()
	var faults []Fault
	s.do(func() (err error) { faults, err = r.Check(); return err })
	var out []string
	for _, f := range faults {
		out = append(out, f.Problem[:min(len(f.Problem), 24)])
	}
	return strings.Join(out, " | ")
}

// mend runs what a check proposes, by the shell, as an operator would.
func (s *server) mend(r RealServer) {
	s.Helper()
	var faults []Fault
	s.do(func() (err error) { faults, err = r.Check(); return err })
	for _, f := range faults {
		if out, err := s.ns.Output("sh", "-c", f.Mend); err != nil {
			s.Errorf("%s: %v %s", f.Mend, err, out)
		}
	}
}

func TestRealServerIsSetUpOnceAndUndone(t *testing.T) {
	s := newServer(t)
	before := s.kernel()
	r := wishFor("10.77.0.100", "2001:db8:77::100")
	want := []string{
		"lo: set up", "lo: 10.77.0.100/32 added", "lo: 2001:db8:77::100/128 added",
		"net.ipv4.conf.all.arp_announce=2", "net.ipv4.conf.all.arp_ignore=1",
	}
	if got := s.setUp(r); !slices.Equal(got, want) {
		t.Errorf("the first time changed %q, want %q", got, want)
	}
	if got := s.setUp(r); len(got) > 0 {
		t.Errorf("the second time changed %q, want nothing", got)
	}
	if got := s.problems(r); got != "" {
		t.Errorf("after it there is %q, want no problem", got)
	}
	want = []string{"lo: 2001:db8:77::100/128 removed"}
	if got := s.setUp(wishFor("10.77.0.100")); !slices.Equal(got, want) {
		t.Errorf("with one VIP less it changed %q, want %q", got, want)
	}
	s.setUp(wishFor())
	if after := s.kernel(); after != strings.Replace(before, "lo down", "lo up", 1) {
		t.Errorf("it left %q, and found %q", after, before)
	}
	if _, err := os.Stat(s.dir); err == nil {
		t.Error("it left its record")
	}
}

// kernel is what a real server's setting-up can change.
func (s *server) kernel() string {
	s.Helper()
	var out []string
	s.do(func() error {
		for _, name := range []string{"arp_ignore", "arp_announce"} {
			v, err := readSysctl("net/ipv4/conf/all/" + name)
			if err != nil {
				return err
			}
			out = append(out, v)
		}
		lo, err := s.table.link("lo")
		if err != nil {
			return err
		}
		out = append(out, map[bool]string{true: "lo up", false: "lo down"}[lo.raised()])
		list, err := s.table.list()
		for _, e := range list {
			if e.index == lo.index && !e.prefix.Addr().IsLoopback() {
				out = append(out, e.prefix.String())
			}
		}
		return err
	})
	return strings.Join(out, ", ")
}

func TestRealServerLeavesWhatWasThereBefore(t *testing.T) {
	s := newServer(t)
	r := wishFor("10.77.0.100", "10.77.0.101")
	s.put("lo", "10.77.0.100/32")
	if err := s.ns.Sysctl("ipv4/conf/all/arp_ignore", "2"); err != nil {
		t.Fatal(err)
	}
	s.setUp(r)
	if got := s.kernel(); got != "2, 2, lo up, 10.77.0.100/32, 10.77.0.101/32" {
		t.Errorf("the kernel holds %s", got)
	}
	s.setUp(wishFor())
	if got := s.kernel(); got != "2, 0, lo up, 10.77.0.100/32" {
		t.Errorf("afterwards the kernel holds %s", got)
	}
}

// put adds an address by hand.
func (s *server) put(link, prefix string) {
	s.Helper()
	s.do(func() error {
		l, err := netlink.LinkByName(link)
		if err != nil {
			return err
		}
		a, err := netlink.ParseAddr(prefix)
		if err != nil {
			return err
		}
		return netlink.AddrAdd(l, a)
	})
}

func TestCheckOfARealServerTellsWhatMendsIt(t *testing.T) {
	s := newServer(t)
	r := wishFor("10.77.0.100", "10.77.0.101", "2001:db8:77::100")
	for _, c := range []struct {
		about, want string
		spoil       func()
	}{
		{
			"a kernel as it comes",
			"lo is down, and with it  | 10.77.0.100/32 is not on | 10.77.0.101/32 is not on | 2001:db8:77::100/128 is  | " +
				"arp_ignore is 0 on eth0, | arp_announce is less tha", func() {},
		},
		{"a VIP on eth0", "10.77.0.100 is on eth0,", func() { s.put("eth0", "10.77.0.100/24") }},
		{"a VIP with the whole subnet", "10.77.0.101 is on lo as ", func() { s.put("lo", "10.77.0.101/24") }},
		{"a VIP that is gone", "2001:db8:77::100/128 is ", func() {
			if _, err := s.ns.Output("ip", "address", "del", "2001:db8:77::100/128", "dev", "lo"); err != nil {
				t.Fatal(err)
			}
		}},
		{"ARP for all", "arp_ignore is 0 on eth1:", func() {
			for _, set := range [][2]string{{"all/arp_ignore", "0"}, {"eth0/arp_ignore", "1"}} {
				if err := s.ns.Sysctl("ipv4/conf/"+set[0], set[1]); err != nil {
					t.Fatal(err)
				}
			}
		}},
	} {
		c.spoil()
		if got := s.problems(r); !strings.HasPrefix(got, c.want) || strings.Count(got, "|") != strings.Count(c.want, "|") {
			t.Errorf("%s: the check says %q, want %q", c.about, got, c.want)
		}
		s.mend(r)
		if got := s.problems(r); got != "" {
			t.Errorf("%s: after what it proposed the check says %q", c.about, got)
		}
	}
}

func TestARealServerWithoutItsTunnelSaysWhichModuleIsMissing(t *testing.T) {
	s := newServer(t)
	r := wishFor("10.77.0.100")
	r.Tunnels = []string{IPIP}
	if _, err := os.Stat("/sys/module/ipip"); err == nil {
		t.Skip("this kernel has the module")
	}
	if got := s.problems(r); !strings.Contains(got, "there is no tunnel devic") {
		t.Errorf("the check says %q", got)
	}
	s.do(func() error {
		_, err := r.SetUp(s.dir)
		if err == nil || !strings.Contains(err.Error(), "modprobe ipip") {
			t.Errorf("setting it up ends with %v, want the module", err)
		}
		return nil
	})
	if got := s.kernel(); strings.Contains(got, "10.77.0.100") {
		t.Errorf("it put the VIP there without the tunnel: %s", got)
	}
}
