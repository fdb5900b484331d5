package servers

import (
	"fmt"
	"net/http"
	"os/exec"
	"testing"
	"time"
)

// Etcd is a cluster of one member, with a folder of its own.
type Etcd struct {
	*Process
	URL string

	t testing.TB
}

// StartEtcd starts one on an address of 127.0.0.0/8 that nobody else uses.
func StartEtcd(t testing.TB, addr string) *Etcd {
	t.Helper()
	e := &Etcd{URL: "http://" + FreePort(t, addr).String(), t: t}
	peer := "http://" + FreePort(t, addr).String()
	e.Process = Start(t, nil, "etcd", "--data-dir", t.TempDir(), "--listen-client-urls", e.URL, "--advertise-client-urls", e.URL,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "default="+peer)
	client := http.Client{Timeout: 5 * time.Second}
	e.Until("ready", func() error {
		r, err := client.Get(e.URL + "/health")
		if err != nil {
			return err
		}
		_ = r.Body.Close()
		if r.StatusCode != http.StatusOK {
			return fmt.Errorf("health: %s", r.Status)
		}
		return nil
	})
	return e
}

// Do runs etcdctl.
func (e *Etcd) Do(words ...string) {
	e.t.Helper()
	cmd := exec.Command("etcdctl", append([]string{"--endpoints", e.URL, "--command-timeout", "10s"}, words...)...)
	cmd.Env = append(cmd.Environ(), "ETCDCTL_API=3")
	if out, err := cmd.CombinedOutput(); err != nil {
		e.t.Fatalf("etcdctl %v: %v\n%s", words, err, out)
	}
}
