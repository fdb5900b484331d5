//go:build servers

package ssh

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vipward/vipward/sdk/plugintest"
	"github.com/vipward/vipward/sdk/power"
	"github.com/vipward/vipward/tests/lab/netns"
	"github.com/vipward/vipward/tests/servers"
)

var vip = netip.MustParseAddr("10.0.0.100")

// lb is a peer behind a real SSH server. Its list of addresses is a file, and who answers by ARP is for the test to say.
type lb struct {
	ssh     *servers.SSH
	dir     string
	answers atomic.Value // string: the MAC address of who answers for the VIP
}

func newPeer(t *testing.T) *lb {
	t.Helper()
	p := &lb{ssh: servers.StartSSH(t), dir: t.TempDir()}
	p.answers.Store("")
	p.put(t, "addresses", "1: lo    inet 127.0.0.1/8 scope host lo\n2: eth0    inet 10.0.0.100/32 scope global eth0\n")
	return p
}

func (p *lb) put(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (p *lb) probe(context.Context, string, []netip.Addr) (map[netip.Addr]string, error) {
	if who := p.answers.Load().(string); who != "" {
		return map[netip.Addr]string{vip: who}, nil
	}
	return nil, nil
}

func (p *lb) fencer(t *testing.T, more string) plugintest.FencerTest {
	t.Helper()
	config := fmt.Sprintf(`{"address": %q, "key_file": %q, "host_key": %q, "addresses": ["10.0.0.100"], "interface": "eth0", "poll": "100ms",
		"list": "cat %s/addresses", "release": "echo released >>%s/calls && sed -i /10.0.0.100/d %s/addresses"%s}`,
		p.ssh.Address, p.ssh.KeyFile, p.ssh.HostKey, p.dir, p.dir, p.dir, more)
	return plugintest.Fencer(t, "ssh", power.Fence(opener(p.probe))).Config(config).Timeout(20 * time.Second)
}

func TestAPeerThatLetsGo(t *testing.T) {
	p := newPeer(t)
	f := p.fencer(t, "")
	f.Valid()
	f.Status().Failed("lb2 has 10.0.0.100")
	f.DryRun().Off().Unknown("dry run: lb2 has 10.0.0.100, and would be switched off")
	if _, err := os.Stat(filepath.Join(p.dir, "calls")); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("the dry run had the peer let go: %v", err)
	}
	f.Off().Confirmed("lb2 has let go and is not powered off: it lists none of 10.0.0.100, and nobody answered 3 ARP probes on eth0")
	f.Status().Confirmed("has let go")
	f.On().Failed("ssh does not give VIPs back")
	f.Conformance()
}

func TestAPeerThatDoesNotLetGo(t *testing.T) {
	p := newPeer(t)
	p.fencer(t, `, "release": "true"`).Timeout(6 * time.Second).Off().Failed("lb2 was switched off without an error, and still reads on")
	p.fencer(t, `, "release": "echo no such unit >&2; exit 5"`).Timeout(6 * time.Second).Off().
		Failed("lb2 has 10.0.0.100: echo no such unit >&2; exit 5 on lb2: exit status 5: no such unit")
	p.fencer(t, `, "release": "sleep 60"`).Timeout(6 * time.Second).Off().Failed("on lb2: no end in time")
	p.fencer(t, `, "list": "sleep 60"`).Timeout(6 * time.Second).Off().Unknown("no end in time")
	p.fencer(t, `, "list": "true"`).Timeout(6 * time.Second).Status().Unknown("no list of addresses")

	p.answers.Store("02:00:00:00:00:02") // it says that it has let go, and answers all the same
	p.fencer(t, "").Timeout(6 * time.Second).Off().Failed("and still reads on")
	p.fencer(t, "").Status().Failed("02:00:00:00:00:02 answers for 10.0.0.100 on eth0")
}

func TestAnotherServerIsNotTheSamePeer(t *testing.T) {
	p, other := newPeer(t), servers.StartSSH(t)
	p.put(t, "addresses", "1: lo    inet 127.0.0.1/8 scope host lo\n")
	p.fencer(t, fmt.Sprintf(`, "host_key": %q`, other.HostKey)).Status().Unknown("host key mismatch")
	p.fencer(t, fmt.Sprintf(`, "key_file": %q`, other.KeyFile)).Status().Unknown("unable to authenticate")
	p.ssh.Pause()
	p.fencer(t, "").Timeout(5 * time.Second).Status().Unknown("no answer in time")
	p.ssh.Kill()
	p.fencer(t, "").Status().Unknown("a peer that is out of reach may still hold its VIPs")
}

// TestAProbeOnTheWire asks for addresses over a pair of interfaces, in namespaces of its own.
func TestAProbeOnTheWire(t *testing.T) {
	here, there := namespace(t), namespace(t)
	output := func(n *netns.NS, args ...string) {
		t.Helper()
		if _, err := n.Output("ip", args...); err != nil {
			t.Fatal(err)
		}
	}
	pids := there.FD()
	output(here, "link", "add", "eth0", "type", "veth", "peer", "name", "eth1")
	output(here, "link", "set", "eth1", "netns", fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), pids))
	output(here, "link", "set", "eth0", "up")
	output(there, "link", "set", "eth1", "address", "02:00:00:00:00:02", "up")
	output(there, "address", "add", "10.0.0.100/32", "dev", "eth1")

	ask := func() string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		var got map[netip.Addr]string
		err := here.Do(func() (err error) {
			got, err = arpProbe(ctx, "eth0", []netip.Addr{vip, netip.MustParseAddr("10.0.0.101")})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimPrefix(fmt.Sprint(got), "map")
	}
	for end := time.Now().Add(20 * time.Second); ask() != "[10.0.0.100:02:00:00:00:00:02]"; { // the interfaces have just come up
		if time.Now().After(end) {
			t.Fatalf("the probe finds %s, want the peer with the VIP, and nobody with the other address", ask())
		}
	}
	output(there, "address", "del", "10.0.0.100/32", "dev", "eth1")
	if got := ask(); got != "[]" {
		t.Errorf("the probe finds %s after the VIP has gone", got)
	}
	if err := here.Do(func() error { _, err := arpProbe(t.Context(), "eth9", []netip.Addr{vip}); return err }); err == nil {
		t.Error("an interface that there is not can be probed")
	}
}

func namespace(t *testing.T) *netns.NS {
	t.Helper()
	n, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	return n
}
