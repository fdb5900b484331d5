//go:build servers

package etcd

import (
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/vipward/vipward/sdk/plugintest"
)

// etcd is a cluster of one member in a folder of its own, for the length of a test.
func etcd(t *testing.T) (url string, server *exec.Cmd) {
	t.Helper()
	url = "http://127.33.9.1:2379"
	peer := "http://127.33.9.1:2380"
	server = exec.Command("etcd", "--data-dir", t.TempDir(), "--listen-client-urls", url, "--advertise-client-urls", url,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "default="+peer)
	server.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := server.Start(); err != nil {
		t.Fatalf("%v (make deps installs what the tests need)", err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		r, err := http.Get(url + "/health")
		if err == nil {
			_ = r.Body.Close()
			if r.StatusCode == http.StatusOK {
				return url, server
			}
		}
		if time.Now().After(end) {
			t.Fatalf("etcd does not get ready: %v", err)
		}
	}
}

func TestAgainstEtcd(t *testing.T) {
	url, server := etcd(t)
	w := plugintest.Witness(t, "etcd", functions()).Config(`{"endpoints": ["` + url + `"]}`)
	t.Run("the suite of vipward plugin test", func(*testing.T) { w.Conformance() })
	t.Run("one node at a time", func(*testing.T) {
		w.Acquire().Granted()
		w.Node("lb2").Acquire().Refused("lb1")
		w.Node("lb2").Release().Refused("lb1")
		w.Acquire().Granted()
		w.Claim("lb1,lb2/db").Node("lb2").Acquire().Granted()
		w.Release().Granted()
		w.Release().Granted()
		w.Node("lb2").Acquire().Granted()
		w.Node("lb2").Release().Granted()
	})
	t.Run("a grant lasts its time and ends", func(t *testing.T) { ends(t, w) })
	t.Run("a renewed grant lasts", func(t *testing.T) { renewed(t, w) })
	t.Run("many claimants", func(t *testing.T) { many(t, w) })
	t.Run("that hangs, and is gone", func(*testing.T) {
		w.Acquire().Granted()
		_ = server.Process.Signal(syscall.SIGSTOP)
		w.Timeout(500 * time.Millisecond).Node("lb2").Acquire().Unknown("")
		_ = server.Process.Signal(syscall.SIGCONT)
		w.Acquire().Granted()
		_ = server.Process.Kill()
		_, _ = server.Process.Wait()
		w.Acquire().Unknown("connection refused")
	})
}

// ends: nobody else gets a claim before its time is over, counted from before the asking, and somebody does soon after.
func ends(t *testing.T, w plugintest.WitnessTest) {
	asked := time.Now()
	w.Claim("ends").TTL(2 * time.Second).Acquire().Granted()
	other := w.Claim("ends").Node("lb2")
	for other.Acquire().Verdict() != "granted" {
		if time.Since(asked) > 20*time.Second {
			t.Fatal("it does not end")
		}
		time.Sleep(50 * time.Millisecond)
	}
	if after := time.Since(asked); after < 2*time.Second {
		t.Errorf("the other node has it %v after the first one asked for 2s", after)
	}
}

func renewed(t *testing.T, w plugintest.WitnessTest) {
	w = w.Claim("renewed").TTL(2 * time.Second)
	for range 10 {
		w.Acquire().Granted()
		time.Sleep(500 * time.Millisecond)
		w.Node("lb2").Acquire().Refused("lb1")
	}
}

func many(t *testing.T, w plugintest.WitnessTest) {
	var holders, wins atomic.Int32
	var all sync.WaitGroup
	for n := range 12 {
		all.Go(func() {
			mine := w.Claim("many").Node(fmt.Sprint("lb", n)).TTL(10 * time.Second)
			for range 20 {
				if mine.Acquire().Verdict() != "granted" {
					continue
				}
				wins.Add(1)
				if k := holders.Add(1); k != 1 {
					t.Errorf("%d nodes have it", k)
				}
				holders.Add(-1)
				mine.Release().Granted()
			}
		})
	}
	all.Wait()
	if wins.Load() == 0 {
		t.Error("nobody has won: the test shows nothing")
	}
}

func TestAUserOfEtcd(t *testing.T) {
	url, _ := etcd(t)
	ctl := func(args ...string) {
		t.Helper()
		cmd := exec.Command("etcdctl", append([]string{"--endpoints", url}, args...)...)
		cmd.Env = append(cmd.Environ(), "ETCDCTL_API=3")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("etcdctl %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	ctl("user", "add", "root:geheim")
	ctl("user", "grant-role", "root", "root")
	ctl("user", "add", "vw:correct horse")
	ctl("role", "add", "vw")
	ctl("role", "grant-permission", "vw", "readwrite", "/vipward/", "--prefix=true")
	ctl("user", "grant-role", "vw", "vw")
	ctl("auth", "enable")
	w := plugintest.Witness(t, "etcd", functions())
	w.Config(`{"endpoints": ["` + url + `"]}`).Acquire().Unknown("user name is empty")
	w.Config(`{"endpoints": ["` + url + `"], "user": "vw", "password": "wrong"}`).Acquire().Unknown("authentication failed")
	w.Config(`{"endpoints": ["` + url + `"], "user": "vw", "password": "correct horse"}`).Acquire().Granted()
	w.Config(`{"endpoints": ["` + url + `"], "user": "vw", "password": "correct horse", "prefix": "/other/"}`).Acquire().Unknown("permission denied")
}
