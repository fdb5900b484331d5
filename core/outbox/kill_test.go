package outbox

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vipward/vipward/core/config"
	"github.com/vipward/vipward/core/event"
)

// childEnv makes the test binary a daemon's outbox with its journal in the folder that it names; see [child].
const childEnv = "VIPWARD_TEST_OUTBOX"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		child(dir)
	}
	os.Exit(m.Run())
}

// child adds events, as many as the first argument says, and delivers to the file "received" while there is a file "up". It says
// "saved" when the disk has all, and "idle" when nothing waits. It runs until it is killed.
func child(dir string) {
	n, err := strconv.Atoi(os.Args[1])
	if err != nil {
		panic(err)
	}
	received, err := os.OpenFile(filepath.Join(dir, "received"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	o := New(Options{
		Journal: filepath.Join(dir, "outbox"), Logger: slog.New(slog.DiscardHandler), Event: func(event.Event) {},
		Deliver: func(_ context.Context, _ config.Notifier, events []event.Event, _ string, _ int) (Outcome, time.Duration, error) {
			if _, err := os.Stat(filepath.Join(dir, "up")); err != nil {
				return Retry, time.Millisecond, err
			}
			if _, err := fmt.Fprintln(received, events[0].Seq); err != nil {
				return Retry, 0, err
			}
			return Delivered, 0, nil
		},
	})
	seq := o.Restore()
	o.Set([]config.Notifier{notifier("ops", 1_000_000)})
	go func() { _ = o.Run(context.Background()) }()
	for range n {
		seq++
		e := transition("web", "ops")
		e.Seq = seq
		o.Add(e)
	}
	say := func(what string, is func() bool) {
		for !is() {
			time.Sleep(time.Millisecond)
		}
		fmt.Println(what)
	}
	say("saved", func() bool {
		o.mu.Lock()
		defer o.mu.Unlock()
		return !o.disk.whole && len(o.disk.pending) == 0 && o.disk.file != nil
	})
	say("idle", func() bool { return o.Stats()[0].Queued == 0 })
	select {}
}

// life runs a child until it says a word, or without one until until returns, and kills it as kill -9 does.
func life(t *testing.T, dir string, events int, word string, until func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0], strconv.Itoa(events))
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	limit := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer limit.Stop()
	if until != nil {
		until()
	} else {
		said := false
		for s := bufio.NewScanner(out); !said && s.Scan(); {
			said = s.Text() == word
		}
		if !said {
			t.Errorf("the child ended before it was %s", word)
		}
	}
	if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
}

func received(t *testing.T, dir string) []int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "received"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	var out []int
	for _, s := range strings.Fields(string(text)) {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, n)
	}
	return out
}

func numbers(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i + 1
	}
	return out
}

func up(t *testing.T, dir string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "up"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestEventsOutliveAKilledDaemonAndArriveOnceInOrder(t *testing.T) {
	dir := t.TempDir()
	life(t, dir, 200, "saved", nil)
	life(t, dir, 100, "saved", nil) // the receiver is still down
	if got := received(t, dir); len(got) != 0 {
		t.Fatalf("received %v from a notifier that was down", got)
	}
	up(t, dir)
	life(t, dir, 5, "idle", nil)
	if got := received(t, dir); !slices.Equal(got, numbers(305)) {
		t.Errorf("received %v, want 1 to 305 once each, in order", got)
	}
}

func TestADaemonKilledAtWorkDeliversAllInOrder(t *testing.T) {
	dir := t.TempDir()
	life(t, dir, 900, "saved", nil)
	up(t, dir)
	for kill := 1; kill <= 5; kill++ {
		life(t, dir, 0, "", func() {
			for end := time.Now().Add(time.Minute); len(received(t, dir)) < 100*kill && time.Now().Before(end); {
				time.Sleep(time.Millisecond) // the pace of looking
			}
		})
	}
	life(t, dir, 0, "idle", nil)
	got := received(t, dir)
	seen := map[int]bool{}
	var first []int
	for _, n := range got {
		if !seen[n] {
			first = append(first, n)
		}
		seen[n] = true
	}
	if !slices.Equal(first, numbers(900)) {
		t.Errorf("first seen were %v, want 1 to 900 in order", first)
	}
	t.Logf("%d of 900 events came more than once after five kills", len(got)-900)
}
