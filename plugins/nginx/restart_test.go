//go:build linux

package nginx

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patient is a configuration whose nginx is this process, as far as a pid file in dir says so, and whose restart is a script. The
// script knows $dir, and $self, the number of this process.
func patient(t *testing.T, dir, body string) Config {
	t.Helper()
	name, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	body = fmt.Sprintf("self=%d\necho x >>$dir/ran\n", os.Getpid()) + body
	return Config{
		PIDFile: filepath.Join(dir, "pid"), Process: strings.TrimSpace(string(name)),
		Restart: &Restart{Command: script(t, dir, body), StateDir: dir},
	}
}

// ran is how often the script ran.
func ran(t *testing.T, dir string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "ran"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return strings.Count(string(text), "x")
}

// said is a result without times and paths.
func said(t *testing.T, timeout time.Duration, dir string, c Config) string {
	t.Helper()
	got := regexp.MustCompile(`\d\d:\d\d:\d\d`).ReplaceAllString(checked(t, timeout, c), "TIME")
	return strings.ReplaceAll(got, dir, "DIR")
}

func expect(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %s, want %s", what, got, want)
	}
}

func TestARestartBringsItBackOnceAnHour(t *testing.T) {
	dir := t.TempDir()
	c := configured(t, patient(t, dir, "echo $self >$dir/pid"))
	expect(t, "dead", said(t, enough, dir, c), "warn: restarted at TIME, since there is no pid_file DIR/pid")
	expect(t, "well", said(t, enough, dir, c), "pass")
	if err := os.Remove(c.PIDFile); err != nil {
		t.Fatal(err)
	}
	const enoughOfIt = "fail: there is no pid_file DIR/pid; not restarted: per_hour, 1, is reached, the last restart was at TIME"
	expect(t, "dead again", said(t, enough, dir, c), enoughOfIt)
	expect(t, "and in the next run", said(t, enough, dir, c), enoughOfIt)
	another := configured(t, patient(t, dir, "echo $self >$dir/pid"))
	expect(t, "in a new process", said(t, enough, dir, another), enoughOfIt)
	if n := ran(t, dir); n != 1 {
		t.Errorf("it was restarted %d times, want 1", n)
	}
	more := patient(t, dir, "echo $self >$dir/pid")
	more.Restart.PerHour = 2
	expect(t, "where two are allowed", said(t, enough, dir, configured(t, more)), "warn: restarted at TIME, since there is no pid_file DIR/pid")
}

func TestARestartThatDoesNotHelpIsNotRepeated(t *testing.T) {
	for _, tt := range []struct{ name, body, want string }{
		{"it ends well", "", "restarted at TIME"},
		{"it fails", "echo starting; echo no such unit >&2; exit 3", `restarted at TIME by "DIR/script": exit status 3: no such unit`},
		{"it hangs", "trap '' TERM; echo hanging; sleep 600 & wait", `restarted at TIME by "DIR/script": it did not end within 3s and was killed: hanging`},
	} {
		dir := t.TempDir()
		p := patient(t, dir, tt.body)
		p.Restart.PerHour, p.Restart.Timeout = 9, 3*time.Second
		if tt.name != "it hangs" {
			p.Restart.Timeout = enough
		}
		c := configured(t, p)
		want := "fail: there is no pid_file DIR/pid; " + tt.want + ", which did not help"
		expect(t, tt.name, said(t, enough, dir, c), want)
		expect(t, tt.name+", the next run", said(t, enough, dir, c), want)
		if n := ran(t, dir); n != 1 {
			t.Errorf("%s: it was restarted %d times, want 1", tt.name, n)
		}
	}
}

func TestARunDoesNotWaitLongerForARestartThanItMay(t *testing.T) {
	dir := t.TempDir()
	c := configured(t, patient(t, dir, "while [ ! -e $dir/go ]; do sleep 0.05; done; echo $self >$dir/pid"))
	got := said(t, 300*time.Millisecond, dir, c)
	if !strings.HasPrefix(got, "error: there is no pid_file DIR/pid; restarting it since ") || !strings.HasSuffix(got, ", for 30s at most") {
		t.Errorf("while it is restarted: %s", got)
	}
	file(t, dir, "go", "")
	got = said(t, enough, dir, c) // the restart may have ended before this run looks
	if got != "pass" && got != "warn: restarted at TIME, since there is no pid_file DIR/pid" {
		t.Errorf("afterwards: %s", got)
	}
	if n := ran(t, dir); n != 1 {
		t.Errorf("it was restarted %d times, want 1", n)
	}
}

func TestTwoRunsDoNotRestartAtOnce(t *testing.T) {
	dir := t.TempDir()
	p := patient(t, dir, "sleep 0.2; echo $self >$dir/pid")
	p.Restart.PerHour = 9
	c := configured(t, p)
	var runs sync.WaitGroup
	for range 8 {
		runs.Go(func() {
			if got := checked(t, enough, c); !strings.HasPrefix(got, "warn: restarted at ") && got != "pass" {
				t.Errorf("check = %s", got)
			}
		})
	}
	runs.Wait()
	if n := ran(t, dir); n != 1 {
		t.Errorf("it was restarted %d times, want 1", n)
	}
}

func TestTwoProcessesDoNotRestartAtOnce(t *testing.T) {
	dir := t.TempDir()
	c := configured(t, patient(t, dir, "echo $self >$dir/pid"))
	other, err := os.OpenFile(c.state.restarter.history.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := unix.Flock(int(other.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	expect(t, "while another process restarts it", said(t, enough, dir, c), "error: there is no pid_file DIR/pid; another process restarts it")
	other.Close()
	expect(t, "when that has given up", said(t, enough, dir, c), "warn: restarted at TIME, since there is no pid_file DIR/pid")
}

func TestWithoutItsFileTheHistoryIsInMemory(t *testing.T) {
	dir := t.TempDir()
	p := patient(t, dir, "echo $self >$dir/pid")
	p.Restart.StateDir = filepath.Join(dir, "none")
	c := configured(t, p)
	expect(t, "dead", said(t, enough, dir, c), "warn: restarted at TIME, since there is no pid_file DIR/pid")
	if err := os.Remove(c.PIDFile); err != nil {
		t.Fatal(err)
	}
	expect(t, "dead again", said(t, enough, dir, c),
		"fail: there is no pid_file DIR/pid; not restarted: per_hour, 1, is reached, the last restart was at TIME")
}

func TestOnlyTheLastHourCounts(t *testing.T) {
	now := time.Unix(100000, 0)
	at := func(d time.Duration) time.Time { return now.Add(d) }
	got := recent([]time.Time{at(-2 * time.Hour), at(-time.Hour), at(-59 * time.Minute), at(0), at(time.Minute), at(2 * time.Hour)}, now)
	if want := []time.Time{at(-59 * time.Minute), at(0), at(time.Minute)}; !slices.Equal(got, want) {
		t.Errorf("recent = %v, want %v", got, want)
	}
}

func TestABrokenConfigurationIsToldAndNotRestarted(t *testing.T) {
	dir := t.TempDir()
	p := patient(t, dir, "")
	p.TestConfig = true
	tests := t.TempDir()
	p.TestCommand = script(t, tests, `echo x >>$dir/ran; [ ! -e $dir/broken ] || { echo 'nginx: [emerg] unknown directive "lsten" in /etc/nginx/nginx.conf:3'; exit 1; }`)
	file(t, tests, "broken", "")
	c := configured(t, p)
	const why = `the configuration is broken: unknown directive "lsten" in /etc/nginx/nginx.conf:3`
	expect(t, "dead", said(t, enough, dir, c), "fail: there is no pid_file DIR/pid; not restarted: "+why)
	if n := ran(t, dir); n != 0 {
		t.Errorf("it was restarted %d times with a configuration that is broken", n)
	}
	file(t, dir, "pid", fmt.Sprint(os.Getpid()))
	expect(t, "running", said(t, enough, dir, c), "warn: "+why)
	c.state.tester.wait()
	before := ran(t, tests)
	expect(t, "still running", said(t, enough, dir, c), "warn: "+why)
	c.state.tester.wait() // a test goes on beside the run
	if n := ran(t, tests); n != before {
		t.Errorf("%d tests before their time", n-before)
	}
	if err := os.Remove(filepath.Join(tests, "broken")); err != nil {
		t.Fatal(err)
	}
	c.state.tester.due = time.Now()
	_ = said(t, enough, dir, c)
	c.state.tester.wait()
	expect(t, "mended, and tested when it was due", said(t, enough, dir, c), "pass")
}

func TestWhatNginxSaysIsWrong(t *testing.T) {
	for _, tt := range []struct{ output, want string }{
		{"nginx: [emerg] unknown directive \"a\" in /x:1\nnginx: configuration file /x test failed\n", `unknown directive "a" in /x:1`},
		{"2026/01/02 03:04:05 [warn] 1#1: b\n2026/01/02 03:04:05 [emerg] 12#12: host not found: c\n", "host not found: c"},
		{"nginx: [emerg] host not found: c", "host not found: c"},
		{"sh: nginx: not found", ""},
	} {
		if got, ok := emergency(tt.output); got != tt.want || ok != (tt.want != "") {
			t.Errorf("emergency(%q) = %q, %v, want %q", tt.output, got, ok, tt.want)
		}
	}
}

func TestATestThatCannotBeMadeIsToldAndNoMore(t *testing.T) {
	dir := t.TempDir()
	p := patient(t, dir, "")
	p.TestConfig, p.TestCommand = true, script(t, t.TempDir(), "")
	file(t, dir, "pid", fmt.Sprint(os.Getpid()))
	c := configured(t, p)
	c.state.tester.command = []string{"/none/nginx", "-t"}
	expect(t, "a command that is not there", said(t, enough, dir, c), "warn: /none/nginx -t: stat /none/nginx: no such file or directory")
	p = patient(t, dir, "")
	p.TestConfig, p.TestCommand = true, script(t, t.TempDir(), "sleep 600")
	c = configured(t, p)
	c.state.tester.timeout = 300 * time.Millisecond
	if got := said(t, enough, dir, c); !strings.HasSuffix(got, ": it did not end within 300ms and was killed") || !strings.HasPrefix(got, "warn: ") {
		t.Errorf("a test that hangs: %s", got)
	}
}
