//go:build servers

package etcd

import (
	"testing"
	"time"

	"github.com/vipward/vipward/sdk/plugintest"
	"github.com/vipward/vipward/tests/servers"
)

func TestAgainstEtcd(t *testing.T) {
	server := servers.StartEtcd(t, "127.33.9.1")
	w := plugintest.Witness(t, "etcd", functions()).Config(`{"endpoints": ["` + server.URL + `"]}`)
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
	t.Run("many claimants", func(*testing.T) { w.Claim("many").TTL(10 * time.Second).Exclusive() })
	t.Run("that hangs, and is gone", func(*testing.T) {
		w.Acquire().Granted()
		server.Pause()
		w.Timeout(500 * time.Millisecond).Node("lb2").Acquire().Unknown("")
		server.Resume()
		w.Acquire().Granted()
		server.Kill()
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

func TestAUserOfEtcd(t *testing.T) {
	server := servers.StartEtcd(t, "127.33.9.2")
	server.Do("user", "add", "root:geheim")
	server.Do("user", "grant-role", "root", "root")
	server.Do("user", "add", "vw:correct horse")
	server.Do("role", "add", "vw")
	server.Do("role", "grant-permission", "vw", "readwrite", "/vipward/", "--prefix=true")
	server.Do("user", "grant-role", "vw", "vw")
	server.Do("auth", "enable")
	w := plugintest.Witness(t, "etcd", functions())
	w.Config(`{"endpoints": ["` + server.URL + `"]}`).Acquire().Unknown("user name is empty")
	w.Config(`{"endpoints": ["` + server.URL + `"], "user": "vw", "password": "wrong"}`).Acquire().Unknown("authentication failed")
	w.Config(`{"endpoints": ["` + server.URL + `"], "user": "vw", "password": "correct horse"}`).Acquire().Granted()
	w.Config(`{"endpoints": ["` + server.URL + `"], "user": "vw", "password": "correct horse", "prefix": "/other/"}`).Acquire().Unknown("permission denied")
}
