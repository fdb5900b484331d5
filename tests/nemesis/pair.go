package nemesis

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/tests/lab/fencer"
	"github.com/vipward/vipward/tests/lab/probe"
	"github.com/vipward/vipward/tests/lab/router"
	"github.com/vipward/vipward/tests/lab/scenario"
	"github.com/vipward/vipward/tests/lab/topology"
)

// The priorities of lb1 and lb2.
const (
	master = 150
	backup = 100
)

// daemon is one of the two routers of a pair.
type daemon interface {
	boot()
	// die has the process that does the work killed, and started again as on a machine where it is looked after.
	die()
	Stop()
	Kill()
	Pause()
	Resume()
	// Tree are its processes, worker is the one that does the work.
	Tree() []int
	worker() int
	// misread has it read a broken file, reread the right one again.
	misread()
	reread()
	// takeKey has it take another key for what is named.
	takeKey(key string, of []string)
}

// pair is two directors with the same daemon, and a client that asks both for the VIP.
type pair struct {
	*scenario.T
	*topology.Net
	fault    fault
	pacer    *probe.Pacer
	kind     kind
	advert   time.Duration
	lb1, lb2 daemon

	power     *fencer.Switch // of those that are fenced; nil where nobody can be
	frozen    string         // the cgroup of lb1's processes; empty for none
	began     time.Time      // of the fault
	announced int            // frames by which lb1 has announced the VIP while the fault lasted
}

// setup is what the configuration of a node has besides: attributes of the block arbitration, blocks, and lines of the instance.
type setup struct{ arbitration, blocks, instance string }

// kind is a make of daemons.
type kind string

const (
	vipward    kind = "vipward"
	keepalived kind = "keepalived"
)

func newPair(t *scenario.T, f fault, k kind, advert time.Duration, pacer *probe.Pacer) *pair {
	n, err := topology.New()
	t.Must(err)
	t.Cleanup(func() { t.Must(n.Close()) })
	p := &pair{T: t, Net: n, fault: f, pacer: pacer, kind: k, advert: advert}
	for _, name := range []string{topology.LB1, topology.LB2} {
		node := n.Node(name)
		t.Background(func(ctx context.Context) error {
			return pacer.Echo(ctx, node.NS, netip.AddrPortFrom(topology.VIP, probe.Port), name)
		})
	}
	p.lb1, p.lb2 = p.daemon(topology.LB1, master), p.daemon(topology.LB2, backup)
	return p
}

func (p *pair) daemon(name string, priority int) daemon {
	if p.kind == vipward {
		v := &ours{router.NewVipward(p.T, p.Node(name)), p, name}
		v.Write(v.configuration())
		return v
	}
	s := router.Settings{Version: 3, Priority: priority, Interval: p.advert, VIPs: []netip.Addr{topology.VIP}}
	if p.fault.password {
		s.Version, s.Password = 2, password(rightKey)
	}
	return &theirs{router.NewKeepalived(p.T, p.Node(name)), p.T, s}
}

// ours is vipward, theirs keepalived.
type ours struct {
	*router.Vipward
	pair *pair
	node string
}

type theirs struct {
	*router.Keepalived
	*scenario.T
	settings router.Settings
}

func (o *ours) boot()   { o.Boot() }
func (t *theirs) boot() { t.Start(t.settings) }

// again is after how long a unit starts a daemon again (RestartSec of configs/vipward.service).
const again = 100 * time.Millisecond

func (o *ours) die() {
	o.Die()
	time.Sleep(again)
	o.Boot()
}

// die kills the child that does the work; its parent starts another one.
func (t *theirs) die() { t.T.Must(unix.Kill(t.worker(), unix.SIGKILL)) }

func (o *ours) worker() int { return o.Tree()[0] }

func (t *theirs) worker() int {
	tree := t.Tree()
	return tree[len(tree)-1]
}

// configuration is the file of a node, the same on both but for what the fault needs. Two references show a node that is cut off that it
// is.
func (o *ours) configuration() string {
	p, more := o.pair, setup{}
	if with := p.fault.with; with != nil {
		more = with(p, o.node)
	}
	return fmt.Sprintf(`node "lb1" { address = "10.77.0.1" }
node "lb2" { address = "10.77.0.2" }
arbitration {
  references = ["10.77.0.10", "10.77.0.12"]
%s}
%svrrp_instance "web" {
  interface         = "eth0"
  virtual_router_id = %d
  priority          = { lb1 = %d, lb2 = %d }
  advert_interval   = %q
  virtual_address "%v/32" {}
%s}
`, more.arbitration, more.blocks, router.VRID, master, backup, p.advert, topology.VIP, more.instance)
}

// owners are the directors that have the VIP on an interface.
func (p *pair) owners() (names []string, err error) {
	for _, name := range []string{topology.LB1, topology.LB2} {
		holds, err := p.Node(name).Holds(topology.VIP)
		if err != nil {
			return nil, err
		}
		if holds {
			names = append(names, name)
		}
	}
	return names, nil
}

// settled waits until lb1 holds the VIP alone.
func (p *pair) settled() {
	p.Eventually("lb1 holds the VIP alone", 20*time.Second, func() error {
		names, err := p.owners()
		if err == nil && (len(names) != 1 || names[0] != topology.LB1) {
			err = fmt.Errorf("it is held by %v", names)
		}
		return err
	})
}

// measure probes from the client until the returned function is called.
func (p *pair) measure() (stop func() probe.Report) {
	pr, err := probe.New(p.Node(topology.Client), probe.Config{VIP: topology.VIP, UDP: time.Millisecond, Ask: time.Millisecond, Apart: true, Pacer: p.pacer})
	p.Must(err)
	var r probe.Report
	end := p.Background(func(ctx context.Context) error {
		r = pr.Run(ctx)
		return nil
	})
	return func() probe.Report { end(); return r }
}
