package e2e

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/vipward/vipward/tests/lab/proc"
	"github.com/vipward/vipward/tests/lab/topology"
)

// perLink is how many instances of the benchmark share a link: there are 255 VRIDs.
const perLink = 255

// benchInstances measures what a daemon needs with many instances, on the master of all of them and on its backup.
func benchInstances(bin string, _ int, out io.Writer) error {
	const span = 10 * time.Second
	fmt.Fprintf(out, "Instances with a VIP each, all on one master with one backup, up to %d on a link, over %v. CPU in percent of one core; packets are\n", perLink, span)
	fmt.Fprintf(out, "those that arrived at the backup, of the adverts that were due.\n\n")
	fmt.Fprintln(out, "| instances | adverts | by | CPU master | CPU backup | memory master | memory backup | packets a second | all master after |")
	fmt.Fprintln(out, "|---|---|---|---|---|---|---|---|---|")
	for _, advert := range []time.Duration{time.Second, 100 * time.Millisecond} {
		for _, size := range []int{1, 100, 255, 1000} {
			for _, by := range []struct {
				name  string
				start func(*lab, string, int, time.Duration) *proc.Process
			}{{"vipward", (*lab).manyVipward}, {"keepalived", (*lab).manyKeepalived}} {
				row := ""
				err := once(bin, "instances", func(t *T) {
					l := newNet(t)
					l.links(size)
					row = l.measureMany(size, advert, span, by.start)
				})
				if err != nil {
					return fmt.Errorf("%d instances of %s: %w", size, by.name, err)
				}
				fmt.Fprintf(out, "| %d | %v | %s | %s |\n", size, advert, by.name, row)
			}
		}
	}
	return nil
}

// links lays cables between the directors, as many as that number of instances needs.
func (l *lab) links(size int) {
	for k := range (size-1)/perLink + 1 {
		name := fmt.Sprintf("x%d", k)
		l.Must(l.Node(topology.LB1).Do(func() error {
			return netlink.LinkAdd(&netlink.Veth{
				LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: name, PeerNamespace: netlink.NsFd(l.Node(topology.LB2).FD()),
			})
		}))
		for n, node := range []string{topology.LB1, topology.LB2} {
			_, err := l.Node(node).Output("ip", "address", "add", fmt.Sprintf("10.78.%d.%d/24", k, n+1), "dev", name)
			l.Must(err)
			_, err = l.Node(node).Output("ip", "link", "set", name, "up")
			l.Must(err)
		}
	}
}

// measureMany starts both, waits until one is master of all, and measures. It is a row of the table.
func (l *lab) measureMany(size int, advert, span time.Duration, start func(*lab, string, int, time.Duration) *proc.Process) string {
	began := time.Now()
	pair := [2]*proc.Process{start(l, topology.LB1, size, advert), start(l, topology.LB2, size, advert)}
	l.Eventually("lb1 is master of all", 90*time.Second, func() error {
		for n, want := range map[string]int{topology.LB1: size, topology.LB2: 0} {
			got, err := l.vips(n)
			if err == nil && got != want {
				err = fmt.Errorf("%s has %d of %d VIPs", n, got, size)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	took := time.Since(began)
	time.Sleep(8 * time.Second) // the second burst of announcements is over
	used, packets := [2]time.Duration{}, l.arrived(size)
	for k, p := range pair {
		used[k] = cpu(l.T, p.Tree()...)
	}
	began = time.Now()
	time.Sleep(span)
	packets = l.arrived(size) - packets
	real := time.Since(began)
	cells := []string{}
	for k, p := range pair {
		cells = append(cells, percent(cpu(l.T, p.Tree()...)-used[k], real))
	}
	for _, p := range pair {
		total := int64(0)
		for _, pid := range p.Tree() {
			resident, _ := memory(l.T, pid)
			total += resident
		}
		cells = append(cells, mib(total))
	}
	due := float64(size) / advert.Seconds()
	cells = append(cells, fmt.Sprintf("%.0f of %.0f", float64(packets)/real.Seconds(), due), fmt.Sprintf("%.1f s", took.Seconds()))
	return strings.Join(cells, " | ")
}

// vips counts the addresses of the instances that a node has.
func (l *lab) vips(node string) (held int, err error) {
	err = l.Node(node).Do(func() error {
		list, err := netlink.AddrList(nil, netlink.FAMILY_V4)
		for _, a := range list {
			if ip := a.IP.To4(); ip != nil && ip[0] == 10 && ip[1] == 79 {
				held++
			}
		}
		return err
	})
	return held, err
}

// arrived counts the packets that have come in at the backup.
func (l *lab) arrived(size int) (packets uint64) {
	l.Must(l.Node(topology.LB2).Do(func() error {
		for k := range (size-1)/perLink + 1 {
			link, err := netlink.LinkByName(fmt.Sprintf("x%d", k))
			if err != nil {
				return err
			}
			packets += link.Attrs().Statistics.RxPackets
		}
		return nil
	}))
	return packets
}

func (l *lab) manyVipward(node string, size int, advert time.Duration) *proc.Process {
	var b strings.Builder
	b.WriteString("node \"lb1\" { address = \"10.77.0.1\" }\nnode \"lb2\" { address = \"10.77.0.2\" }\n")
	for k := range size {
		fmt.Fprintf(&b, "vrrp_instance \"i%d\" {\n  interface = \"x%d\"\n  virtual_router_id = %d\n  priority = { lb1 = 150, lb2 = 100 }\n  advert_interval = %q\n"+
			"  virtual_address \"10.79.%d.%d/32\" {}\n}\n", k, k/perLink, k%perLink+1, advert, k/perLink, k%perLink)
	}
	d := l.newDirector(node, b.String())
	d.start()
	return d.proc
}

func (l *lab) manyKeepalived(node string, size int, advert time.Duration) *proc.Process {
	priority := map[string]int{topology.LB1: 150, topology.LB2: 100}[node]
	var b strings.Builder
	fmt.Fprintf(&b, "global_defs {\n  router_id %s\n  vrrp_version 3\n}\n", node)
	for k := range size {
		fmt.Fprintf(&b, "vrrp_instance i%d {\n  state BACKUP\n  interface x%d\n  virtual_router_id %d\n  priority %d\n  advert_int %g\n"+
			"  virtual_ipaddress {\n    10.79.%d.%d/32 dev x%d\n  }\n}\n", k, k/perLink, k%perLink+1, priority, advert.Seconds(), k/perLink, k%perLink, k/perLink)
	}
	dir := filepath.Join(l.Dir, node+"-keepalived")
	l.Must(os.MkdirAll(dir, 0o755))
	l.Must(os.WriteFile(filepath.Join(dir, "keepalived.conf"), []byte(b.String()), 0o644))
	p, err := proc.Start(l.Node(node).NS, filepath.Join(dir, "log"), "keepalived", "--dont-fork", "--log-console", "--vrrp",
		"--use-file", filepath.Join(dir, "keepalived.conf"), "--pid", filepath.Join(dir, "pid"), "--vrrp_pid", filepath.Join(dir, "vrrp_pid"))
	l.Must(err)
	l.Cleanup(p.Kill)
	return p
}
