package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vipward/vipward/core/event"
)

// outliving is a daemon that watches a file by a checker, and tells a web hook of it.
const outliving = `
checker "exec" "flag" {
  command  = ["/usr/bin/test", "-e", "%[1]s/flag"]
  format   = "misc"
  interval = "50ms"
  timeout  = "20s"
}

notifier "webhook" "hook" {
  url    = "http://%[2]s/"
  events = ["checker"]
}
`

// A daemon that is killed with notifications under way delivers them in its next life, once each and in order.
func TestNotificationsOutliveAKilledDaemon(t *testing.T) {
	dir := t.TempDir()
	daemon := filepath.Join(dir, "vipward")
	if out, err := exec.Command("go", "build", "-o", daemon, ".").CombinedOutput(); err != nil {
		t.Fatalf("build vipward: %v\n%s", err, out)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") // nobody answers there until the receiver takes it over
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	config := filepath.Join(dir, "vipward.hcl")
	if err := os.WriteFile(config, fmt.Appendf(nil, outliving, dir, addr), 0o600); err != nil {
		t.Fatal(err)
	}
	plugins := buildPlugins(t)
	start := func() (kill func()) {
		t.Helper()
		var logs bytes.Buffer
		cmd := exec.Command(daemon, "run", "--config", config, "--node", "lb1", "--socket", filepath.Join(dir, "sock"),
			"--state-dir", filepath.Join(dir, "state"), "--plugin-dir", plugins)
		cmd.Stdout, cmd.Stderr = &logs, &logs
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := false
		kill = func() {
			if ended {
				return
			}
			ended = true
			_ = cmd.Process.Kill() // as kill -9 does
			_ = cmd.Wait()
			if t.Failed() {
				t.Logf("the daemon wrote:\n%s", logs.String())
			}
		}
		t.Cleanup(kill)
		return kill
	}
	journal := filepath.Join(dir, "state", "lb1.outbox")
	kill := start()
	for n := 1; n <= 6; n++ { // the first verdict, and then up and down by turns
		eventually(t, fmt.Sprintf("%d events are in the journal", n), func() bool {
			text, _ := os.ReadFile(journal) // it comes with the daemon
			return bytes.Count(text, []byte(`"code":"checker.state"`)) == n
		})
		toggle(t, filepath.Join(dir, "flag"))
	}
	kill()

	var mu sync.Mutex
	var got []event.Event
	receiver := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // what is missing shows
		var e event.Event
		if err := json.Unmarshal(body, &e); err != nil {
			t.Errorf("the receiver got %q: %v", body, err)
		}
		mu.Lock()
		defer mu.Unlock()
		got = append(got, e)
	}))
	receiver.Listener.Close()
	if receiver.Listener, err = net.Listen("tcp", addr); err != nil {
		t.Fatal(err)
	}
	receiver.Start()
	defer receiver.Close()
	kill = start()
	defer kill()
	received := func() []event.Event {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(got)
	}
	eventually(t, "the receiver has what waited", func() bool { return len(received()) >= 6 })
	toggle(t, filepath.Join(dir, "flag"))
	before := len(received())
	eventually(t, "the receiver hears of the new life", func() bool { return len(received()) > before })
	all := received()
	var states []string
	for i, e := range all {
		if i > 0 && e.Seq <= all[i-1].Seq {
			t.Errorf("event %d has the number %d after %d", i, e.Seq, all[i-1].Seq)
		}
		states = append(states, e.To)
	}
	if want := "down up down up down up"; !strings.HasPrefix(strings.Join(states, " "), want) {
		t.Errorf("the receiver heard of %v, want %s first", states, want)
	}
}

// toggle makes a file, or removes it.
func toggle(t *testing.T, path string) {
	t.Helper()
	if os.Remove(path) == nil {
		return
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// eventually waits until something is so, and fails the test when it is not in time.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
	}
}
