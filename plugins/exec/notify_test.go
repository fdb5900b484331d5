package exec

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vipward/vipward/sdk"
)

// script writes an executable shell script that knows the directory of the test as $dir.
func script(t *testing.T, dir, body string) string {
	t.Helper()
	path := filepath.Join(dir, "notify.sh")
	if err := os.WriteFile(path, []byte("#!/bin/sh\ndir="+dir+"\n"+body+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var web = sdk.Event{
	Seq: 7, Time: time.Date(2026, 1, 2, 3, 4, 5, 600, time.UTC), Node: "lb1", Code: "instance.state", Severity: "warning",
	Kind: "instance", Subject: "web", From: "BACKUP", To: "MASTER", Priority: 150, Reason: "advert timer expired",
	Attrs: map[string]string{"peer_view": "silent, for 3 s"},
}

func TestTheArgumentsAreThoseOfKeepalived(t *testing.T) {
	for _, tt := range []struct {
		event sdk.Event
		want  string
	}{
		{sdk.Event{Kind: "instance", Subject: "web", To: "MASTER", Priority: 150}, "INSTANCE|web|MASTER|150"},
		{sdk.Event{Kind: "instance", Subject: "web", To: "FAULT", Priority: 150}, "INSTANCE|web|FAULT|150"},
		{sdk.Event{Kind: "instance", Subject: "web", To: "INIT", Priority: 150}, "INSTANCE|web|STOP|150"},
		{sdk.Event{Kind: "group", Subject: "all", To: "MASTER"}, "GROUP|all|MASTER|0"},
		{sdk.Event{Kind: "group", Subject: "all", To: "STOP"}, "GROUP|all|STOP|0"},
		{sdk.Event{Kind: "instance", Subject: "web", To: "HOLD", Priority: 150}, "INSTANCE|web|BACKUP|150"},
		{sdk.Event{Kind: "real_server", Service: "web", Subject: "10.0.0.1:80", To: "down", Priority: 2}, "RS|web 10.0.0.1:80|DOWN|2"},
		{sdk.Event{Kind: "plugin", Subject: "http", To: "running"}, "PLUGIN|http|running|0"},
	} {
		if got := strings.Join(arguments(tt.event), "|"); got != tt.want {
			t.Errorf("arguments %s, want %s", got, tt.want)
		}
	}
}

func TestACommandSeesTheEventInThreeWays(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PLUGIN_UNIX_SOCKET_DIR", "/run/x")
	t.Setenv("VIPWARD_PLUGIN", "cookie")
	t.Setenv("MINE", "yes")
	path := script(t, dir, `echo "$#:$1:$2:$3:$4:$5" >$dir/args; env | sort >$dir/env; cat >$dir/stdin`)
	if err := notify(t.Context(), []sdk.Event{web}, NotifierConfig{Command: []string{path, "first arg"}, Timeout: time.Minute}); err != nil {
		t.Fatal(err)
	}
	if got := read(t, filepath.Join(dir, "args")); got != "5:first arg:INSTANCE:web:MASTER:150\n" {
		t.Errorf("arguments %q", got)
	}
	env := read(t, filepath.Join(dir, "env"))
	for _, want := range []string{
		"VIPWARD_SEQ=7", "VIPWARD_TIME=2026-01-02T03:04:05.0000006Z", "VIPWARD_NODE=lb1", "VIPWARD_CODE=instance.state",
		"VIPWARD_SEVERITY=warning", "VIPWARD_KIND=instance", "VIPWARD_SUBJECT=web", "VIPWARD_SERVICE=", "VIPWARD_FROM=BACKUP",
		"VIPWARD_TO=MASTER", "VIPWARD_PRIORITY=150", "VIPWARD_REASON=advert timer expired", "VIPWARD_ATTR_PEER_VIEW=silent, for 3 s", "MINE=yes",
	} {
		if !strings.Contains("\n"+env, "\n"+want+"\n") {
			t.Errorf("the environment lacks %s:\n%s", want, env)
		}
	}
	if strings.Contains(env, "PLUGIN_UNIX") || strings.Contains(env, "VIPWARD_PLUGIN") {
		t.Errorf("the handshake is in the environment:\n%s", env)
	}
	var got sdk.Event
	if err := json.Unmarshal([]byte(read(t, filepath.Join(dir, "stdin"))), &got); err != nil || !reflect.DeepEqual(got, web) {
		t.Errorf("stdin has %+v, %v", got, err)
	}
}

func TestEventsComeInOrderAndAFailureHoldsUpNone(t *testing.T) {
	dir := t.TempDir()
	path := script(t, dir, `echo $VIPWARD_SEQ >>$dir/seen; if [ $VIPWARD_SEQ = 2 ]; then echo "no route" >&2; exit 3; fi`)
	err := notify(t.Context(), []sdk.Event{{Seq: 1}, {Seq: 2}, {Seq: 3}}, NotifierConfig{Command: []string{path}, Timeout: time.Minute})
	if want := "event 2: " + path + ": exit status 3: no route"; err == nil || err.Error() != want {
		t.Errorf("notify = %v, want %s", err, want)
	}
	if got := read(t, filepath.Join(dir, "seen")); got != "1\n2\n3\n" {
		t.Errorf("the command saw %q", got)
	}
}

func TestAnEventThatIsTooOldIsNotTold(t *testing.T) {
	dir := t.TempDir()
	path := script(t, dir, `echo $VIPWARD_SEQ >>$dir/seen`)
	c := NotifierConfig{Command: []string{path}, Timeout: time.Minute, MaxAge: time.Hour}
	old, fresh := sdk.Event{Seq: 1, Time: time.Now().Add(-2 * time.Hour)}, sdk.Event{Seq: 2, Time: time.Now()}
	err := notify(t.Context(), []sdk.Event{old, fresh}, c)
	if want := "event 1: it is 2h0m0s old, more than 1h0m0s"; err == nil || err.Error() != want || !sdk.Dropped(err) {
		t.Errorf("notify = %v, want %s", err, want)
	}
	if got := read(t, filepath.Join(dir, "seen")); got != "2\n" {
		t.Errorf("the command saw %q", got)
	}
	c.MaxAge = 0
	if err := notify(t.Context(), []sdk.Event{old}, c); err != nil {
		t.Errorf("without a bound: %v", err)
	}
}

// Scripts of keepalived's take the third argument for a state, and what they do not know for an error.
func TestOnlyChangesOfStateAreTold(t *testing.T) {
	dir := t.TempDir()
	path := script(t, dir, `echo "$*" >>$dir/seen`)
	events := []sdk.Event{
		{Kind: "instance", Subject: "web", Code: "instance.takeover", Reason: "nobody answers"},
		{Kind: "instance", Subject: "web", Code: "instance.state", To: "MASTER", Priority: 150},
		{Kind: "real_server", Subject: "10.0.0.1:80", Service: "web", Code: "real_server.stale"},
		{Kind: "node", Subject: "lb2", Code: "peer.lost"},
	}
	c := NotifierConfig{Command: []string{path}, Timeout: time.Minute, States: true}
	if err := notify(t.Context(), events, c); err != nil {
		t.Fatal(err)
	}
	if got, want := read(t, filepath.Join(dir, "seen")), "INSTANCE web MASTER 150\nNODE lb2  0\n"; got != want {
		t.Errorf("the command saw %q, want %q", got, want)
	}
	c.States = false
	if err := notify(t.Context(), events[:1], c); err != nil || !strings.HasSuffix(read(t, filepath.Join(dir, "seen")), "INSTANCE web  0\n") {
		t.Errorf("with states_only = false the command saw %q, %v", read(t, filepath.Join(dir, "seen")), err)
	}
}

func TestACommandThatIsNotThereMayCome(t *testing.T) {
	c := NotifierConfig{Command: []string{"/nowhere/notify.sh"}, Timeout: time.Minute}
	if err := notify(t.Context(), []sdk.Event{web}, c); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("notify = %v, want that there is no such file, plainly, for a retry", err)
	}
}

func TestACommandThatTakesTooLongIsKilledWithWhatItStarted(t *testing.T) {
	dir := t.TempDir()
	path := script(t, dir, `sleep 60 & echo $! >$dir/child; sleep 60`)
	began := time.Now()
	err := notify(t.Context(), []sdk.Event{web}, NotifierConfig{Command: []string{path}, Timeout: 500 * time.Millisecond})
	if want := "event 7: " + path + ": killed after 500ms"; err == nil || err.Error() != want {
		t.Errorf("notify = %v, want %s", err, want)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("notify took %v", took)
	}
	child, err := strconv.Atoi(strings.TrimSpace(read(t, filepath.Join(dir, "child"))))
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); syscall.Kill(child, 0) == nil && !zombie(child); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the child of the command lives on")
		}
	}
}

// zombie tells whether a process has ended and only waits to be reaped, by whoever inherited it.
func zombie(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || strings.Contains(string(stat), ") Z ")
}

func TestAProcessInTheBackgroundHoldsUpNothing(t *testing.T) {
	dir := t.TempDir()
	path := script(t, dir, `sleep 60 & echo $! >$dir/child`)
	began := time.Now()
	err := notify(t.Context(), []sdk.Event{web}, NotifierConfig{Command: []string{path}, Timeout: 40 * time.Second})
	if took := time.Since(began); err != nil || took > 20*time.Second {
		t.Errorf("notify = %v after %v, want it done at once", err, took)
	}
	child, err := strconv.Atoi(strings.TrimSpace(read(t, filepath.Join(dir, "child"))))
	if err != nil {
		t.Fatal(err)
	}
	_ = syscall.Kill(child, syscall.SIGKILL)
}

func TestAHostThatHangsUpEndsTheCommand(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(200*time.Millisecond, cancel)
	path := script(t, t.TempDir(), "sleep 60")
	if err := notify(ctx, []sdk.Event{web}, NotifierConfig{Command: []string{path}, Timeout: time.Minute}); !errors.Is(err, context.Canceled) {
		t.Errorf("notify = %v, want cancelled", err)
	}
}
