package router

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/tests/lab/proc"
	"github.com/vipward/vipward/tests/lab/scenario"
	"github.com/vipward/vipward/tests/lab/topology"
)

// API reads what a daemon answers on its socket, which is cheaper than the command line while a scenario waits.
type API struct{ client http.Client }

// NewAPI asks at that socket.
func NewAPI(socket string) *API {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}
	return &API{http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}}
}

// Get is the answer to a GET request of that path.
func (a *API) Get(path string) ([]byte, error) {
	resp, err := a.client.Get("http://vipward" + path)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %s", path, resp.Status)
	}
	return io.ReadAll(resp.Body)
}

// Post sends a command in JSON, which has to succeed.
func (a *API) Post(path string, body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	resp, err := a.client.Post("http://vipward"+path, "application/json", bytes.NewReader(text))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		answer, _ := io.ReadAll(resp.Body)
		return fmt.Errorf("POST %s: %s: %s", path, resp.Status, answer)
	}
	return nil
}

// Socket is that of a daemon that [Run] has started in a directory.
func Socket(dir string) string { return filepath.Join(dir, "socket") }

// Run starts our daemon on a node, with the configuration vipward.hcl of a directory that is its alone. Bin is that of the
// binaries.
func Run(node *topology.Node, bin, dir string) (*proc.Process, error) {
	state := filepath.Join(dir, "state")
	if err := os.MkdirAll(state, 0o755); err != nil {
		return nil, err
	}
	return proc.Start(node.NS, filepath.Join(dir, "log"), filepath.Join(bin, "vipward"), "run",
		"--config", filepath.Join(dir, "vipward.hcl"), "--node", node.Name, "--socket", Socket(dir), "--state-dir", state,
		"--plugin-dir", filepath.Join(bin, "plugins"))
}

// Vipward is our daemon on a node with one virtual router and nothing else.
type Vipward struct {
	t    *scenario.T
	node *topology.Node
	dir  string
	api  *API
	proc *proc.Process
	last int // lines of its log that are shown of a failure; 0 before its first start
}

// NewVipward returns one that is not started.
func NewVipward(t *scenario.T, node *topology.Node) *Vipward {
	dir := place(t, node, "vipward")
	return &Vipward{t: t, node: node, dir: dir, api: NewAPI(Socket(dir))}
}

// Start starts it and waits until it answers.
func (v *Vipward) Start(s Settings) {
	v.t.Logf("vipward starts on %s: %+v", v.node.Name, s)
	v.Write(vipwardHCL(s))
	v.Boot()
}

// Write replaces its configuration; that takes effect with a start or a reload.
func (v *Vipward) Write(text string) {
	v.t.Must(os.WriteFile(filepath.Join(v.dir, "vipward.hcl"), []byte(text), 0o644))
}

// API is that of its socket.
func (v *Vipward) API() *API { return v.api }

// Pause stops its processes with SIGSTOP, Resume lets them go on.
func (v *Vipward) Pause()  { v.proc.Pause() }
func (v *Vipward) Resume() { v.proc.Resume() }

// Boot starts it with the configuration that is there, and waits until it answers.
func (v *Vipward) Boot() {
	p, err := Run(v.node, v.t.Bin, v.dir)
	v.t.Must(err)
	v.proc = p
	if v.last == 0 {
		v.last = 60
		v.t.Cleanup(func() { // after those of all its starts
			if v.t.Failed() {
				v.t.Logf("--- what vipward on %s said last:\n%s", v.node.Name, scenario.Tail(p.Log(), v.last))
			}
		})
	}
	answered := false
	v.t.Cleanup(func() {
		if !answered && p.Running() { // where it hangs says its runtime
			p.Signal(unix.SIGQUIT)
			_, _ = p.Wait(time.Second)
			v.last = 600
		}
		p.Kill()
	})
	v.t.Eventually("vipward on "+v.node.Name+" answers", 20*time.Second, func() error {
		if !p.Running() {
			v.t.Fatalf("vipward on %s has ended at its start", v.node.Name)
		}
		_, err := v.Status()
		return err
	})
	answered = true
}

// Stop ends it in order.
func (v *Vipward) Stop() {
	code, err := v.proc.Terminate(20 * time.Second)
	v.t.Must(err)
	if code != 0 {
		v.t.Errorf("vipward on %s ended with code %d, want 0", v.node.Name, code)
	}
}

// Kill kills it; the kernel takes the addresses when their lease is over.
func (v *Vipward) Kill() { v.proc.Kill() }

// Die kills the daemon alone, without its children, and waits for its end.
func (v *Vipward) Die() {
	v.proc.Signal(unix.SIGKILL)
	<-v.proc.Done()
}

// Tree are its processes, the daemon first.
func (v *Vipward) Tree() []int { return v.proc.Tree() }

// Running tells whether it has not ended.
func (v *Vipward) Running() bool { return v.proc != nil && v.proc.Running() }

// Status is what it says of its virtual router.
type Status struct {
	State, Reason string
	Addresses     []struct {
		Address string
		Held    bool
	}
	Counters struct {
		Received  uint64            `json:"adverts_received"`
		Discarded map[string]uint64 // by reason, those that occurred
	}
}

// Status asks the daemon.
func (v *Vipward) Status() (Status, error) {
	var all struct{ Instances []Status }
	text, err := v.api.Get("/v1/status")
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err != nil {
		return Status{}, err
	}
	if len(all.Instances) != 1 {
		return Status{}, fmt.Errorf("vipward on %s has %d instances, want one", v.node.Name, len(all.Instances))
	}
	return all.Instances[0], nil
}

func vipwardHCL(s Settings) string {
	var b strings.Builder
	network := "10.77.0."
	if s.VIPs[0].Is6() {
		network = "2001:db8:77::"
	}
	fmt.Fprintf(&b, "node \"lb1\" { address = \"%s1\" }\nnode \"lb2\" { address = \"%s2\" }\n", network, network)
	if s.Unasked {
		b.WriteString("arbitration { probe_vip = false }\n")
	}
	fmt.Fprintf(&b, "vrrp_instance \"web\" {\n  interface = \"eth0\"\n  virtual_router_id = %d\n", VRID)
	fmt.Fprintf(&b, "  version = %d\n  priority = %d\n  preempt = %v\n  use_vmac = %v\n", s.Version, s.Priority, !s.NoPreempt, s.VMAC)
	if s.Interval > 0 {
		fmt.Fprintf(&b, "  advert_interval = %q\n", s.Interval)
	}
	if s.Password != "" {
		fmt.Fprintf(&b, "  authentication {\n    type = \"pass\"\n    password = %q\n  }\n", s.Password)
	}
	if s.Peer.IsValid() {
		fmt.Fprintf(&b, "  unicast {\n    peers = [%q, %q]\n    min_ttl = %d\n  }\n", s.Source, s.Peer, cmp.Or(s.MinTTL, 255))
	}
	for _, v := range s.VIPs {
		fmt.Fprintf(&b, "  virtual_address %q {}\n", host(v))
	}
	b.WriteString("}\n")
	return b.String()
}
