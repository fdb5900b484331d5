//go:build servers

package ping

import (
	"context"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netns"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/plugintest"
)

// inNamespace runs f in a network namespace of its own, with a loopback interface. All that f does must stay in its goroutine.
func inNamespace(t *testing.T, f func()) {
	t.Helper()
	runtime.LockOSThread() // and never unlocked when something fails: the thread ends with its goroutine
	own, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	ns, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	run(t, "ip", "link", "set", "lo", "up")
	f()
	if err := netns.Set(own); err != nil {
		t.Fatal(err)
	}
	runtime.UnlockOSThread()
}

// run runs a command in the namespace of the goroutine.
func run(t *testing.T, name string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if out, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		t.Errorf("%s %v: %v\n%s", name, args, err, out)
	}
}

// set sets a sysctl in the namespace of the goroutine.
func set(t *testing.T, name, value string) {
	t.Helper()
	if err := os.WriteFile("/proc/sys/net/"+name, []byte(value), 0o600); err != nil {
		t.Error(err)
	}
}

// ping makes one run in the goroutine of the caller.
func ping(t *testing.T, address string, c Config, timeout time.Duration) string {
	t.Helper()
	c.Count, c.Gap, c.Size = max(c.Count, 1), max(c.Gap, time.Millisecond), max(c.Size, 56)
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	return check(ctx, sdk.Target{Address: netip.AddrPortFrom(netip.MustParseAddr(address), 80)}, c).String()
}

func TestHosts(t *testing.T) {
	for kind, group := range map[string]string{"raw": "1 0", "datagram": "0 0"} {
		inNamespace(t, func() {
			set(t, "ipv4/ping_group_range", group)
			run(t, "ip", "link", "add", "near", "type", "veth", "peer", "name", "far")
			run(t, "ip", "link", "set", "far", "up")
			run(t, "ip", "link", "set", "near", "up")
			run(t, "ip", "address", "add", "10.9.0.1/24", "dev", "near")
			run(t, "ip", "address", "add", "fd00:9::1/64", "dev", "near", "nodad")
			run(t, "ip", "route", "add", "unreachable", "10.9.2.0/24")
			run(t, "ip", "route", "add", "prohibit", "10.9.3.0/24")
			for _, tt := range []struct {
				name, address string
				config        Config
				timeout       time.Duration
				want          string
			}{
				{"IPv4", "127.0.0.1", Config{}, 20 * time.Second, "pass"},
				{"IPv6", "::1", Config{}, 20 * time.Second, "pass"},
				{"an address of an interface", "10.9.0.1", Config{Count: 3}, 20 * time.Second, "pass"},
				{"IPv6 of an interface", "fd00:9::1", Config{Count: 3}, 20 * time.Second, "pass"},
				{"much data", "127.0.0.1", Config{Size: 65000}, 20 * time.Second, "pass"},
				{"IPv4 within IPv6", "::ffff:127.0.0.1", Config{}, 20 * time.Second, "pass"},
				{"nobody answers", "10.9.0.2", Config{Count: 2}, 300 * time.Millisecond, "fail: ping 10.9.0.2: no answer to 2 requests: no answer in time"},
				{"nobody answers, and the neighbours say so", "10.9.0.3", Config{}, 60 * time.Second, "fail: ping 10.9.0.3: no answer to 1 request: no route to host"},
				{"nor over IPv6", "fd00:9::3", Config{}, 60 * time.Second, "fail: ping fd00:9::3: no answer to 1 request: no route to host"},
				{"an unreachable route", "10.9.2.1", Config{}, 20 * time.Second, "fail: ping 10.9.2.1: no route to host"},
				{"no route", "10.8.0.1", Config{}, 20 * time.Second, "fail: ping 10.8.0.1: network is unreachable"},
				{"a route of this node that prohibits it", "10.9.3.1", Config{}, 20 * time.Second, "error: ping 10.9.3.1: permission denied"},
			} {
				if got := ping(t, tt.address, tt.config, tt.timeout); got != tt.want {
					t.Errorf("%s by %s socket: %s, want %s", tt.name, kind, got, tt.want)
				}
			}
			set(t, "ipv4/icmp_echo_ignore_all", "1")
			if got, want := ping(t, "127.0.0.1", Config{}, 300*time.Millisecond), "fail: ping 127.0.0.1: no answer to 1 request: no answer in time"; got != want {
				t.Errorf("a host that does not answer by %s socket: %s, want %s", kind, got, want)
			}
		})
	}
}

func TestThroughTheSDK(t *testing.T) {
	c := plugintest.Checker(t, "ping", check, summary()).Timeout(20 * time.Second)
	c.Against("127.0.0.1:80").Pass()
	c.Config(`{"count": 3, "gap": "5ms"}`).Against("[::1]:80").Pass().Value("loss_percent", 0)
	c.Config(`{"address": "127.0.0.1"}`).Against("").Pass()
	if got, want := c.Config(`{"max_round_trip": "100us", "count": 2, "gap": "1ms", "size": 65000}`).Against("127.0.0.1:80").String(), "pass"; got != want &&
		!strings.HasPrefix(got, "fail: ping 127.0.0.1: the round trip takes ") {
		t.Errorf("a tight limit: %s", got)
	}
}

// TestWithoutPermission runs itself again as a user who may not ping, in a namespace whose sysctl is as the kernel has it.
func TestWithoutPermission(t *testing.T) {
	if os.Getenv("PING_AS_NOBODY") != "" {
		t.Log(ping(t, "127.0.0.1", Config{}, 20*time.Second))
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	c := exec.CommandContext(ctx, "/proc/self/exe", "-test.run", "^TestWithoutPermission$", "-test.v")
	c.Dir, c.Env = "/", []string{"PING_AS_NOBODY=1"}
	c.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET, Credential: &syscall.Credential{Uid: 65534, Gid: 65534}, Pdeathsig: syscall.SIGKILL,
	}
	out, err := c.CombinedOutput()
	want := "error: ping 127.0.0.1: no permission for ICMP: give the plugin the capability NET_RAW, or put its group into the sysctl net.ipv4.ping_group_range"
	if err != nil || !strings.Contains(string(out), want) {
		t.Errorf("%v\n%s\nwant %s", err, out, want)
	}
}

func TestConformance(t *testing.T) {
	plugintest.Checker(t, "ping", check, summary()).Conformance()
}
