package execd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/plugintest"
)

// ask is a shell function that takes the fields of the next question apart: $id, $target, $address, $port.
const ask = `
field() { printf "%s" "$line" | sed -n "s/.*\"$1\":\"\{0,1\}\([^\",}]*\).*/\1/p"; }
ask() { IFS= read -r line || exit 0; id=$(field id); target=$(field target); address=$(field address); port=$(field port); }
answer() { printf '{"id":%s,"status":"%s","reason":"%s"}\n' "$id" "$1" "$2"; }
`

// opened is the configuration of a script in a directory $dir, in use until the test ends.
func opened(t *testing.T, dir, body string) Config {
	t.Helper()
	path := filepath.Join(dir, "daemon.sh")
	if err := os.WriteFile(path, []byte("#!/bin/sh\ndir="+dir+ask+body+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	c := Config{Command: []string{path, "argument"}, Directory: "/", Env: map[string]sdk.Secret{"PASSWORD": "geheim"}}
	if err := errors.Join(c.Validate(), c.Open(t.Context())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// checked makes one run with a timeout.
func checked(t *testing.T, c Config, target string, timeout time.Duration) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	return check(ctx, sdk.Target{Name: target, Address: netip.MustParseAddrPort("10.0.0.1:80")}, c).String()
}

// within wants done to be true soon.
func within(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

func number(t *testing.T, path string) int {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// gone tells whether a process has ended; as a zombie it has too, where whoever inherited it reaps late.
func gone(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || strings.Contains(string(stat), ") Z ")
}

func TestAnAnswerIsAResult(t *testing.T) {
	for _, tt := range []struct{ name, answer, want string }{
		{"pass", `"status":"pass"`, "pass"},
		{"warn", `"status":"warn","reason":"slow"`, "warn: slow"},
		{"fail", `"status":"fail","reason":"no route"`, "fail: no route"},
		{"a failure without a reason", `"status":"fail"`, "fail: the co-process gave no reason"},
		{"error", `"status":"error","reason":"no file"`, "error: no file"},
		{"a field of a later version", `"status":"pass","colour":"green"`, "pass"},
		{"a status that there is not", `"status":"ok"`, `error: answer of the co-process: status "ok" is not one of pass, warn, fail, error`},
		{"no status", `"reason":"x"`, `error: answer of the co-process: status "" is not one of pass, warn, fail, error`},
		{"a weight that is none", `"status":"pass","weight":-1`, "error: answer of the co-process: weight -1 is not in 0 to 65535"},
	} {
		id, r, err := parse([]byte(`{"id":7,`+tt.answer+`}`), false)
		if id != 7 || r.String() != tt.want || (err != nil) != strings.HasPrefix(tt.want, "error: answer") {
			t.Errorf("%s: id %d, %v, %v, want %s", tt.name, id, r, err, tt.want)
		}
	}
}

func TestTheCoProcessLearnsWhatToCheck(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "daemon.sh")
	body := "#!/bin/sh\nIFS= read -r line; echo \"$line $1 $PASSWORD $PWD\" >" + dir + "/question\n" +
		`echo '{"id":1,"status":"pass","weight":3,"values":{"load":0.5}}'; read -r line` + "\n"
	if err := os.WriteFile(path, []byte(body), 0o700); err != nil {
		t.Fatal(err)
	}
	test := plugintest.Checker(t, "execd", check)
	test.Config(fmt.Sprintf(`{"command": [%q, "argument"], "env": {"PASSWORD": "geheim"}, "directory": %q}`, path, dir)).
		Against("[2001:db8::1]:8080").Pass().Weight(3).Value("load", 0.5).Value("execd_restarts", 0).Value("execd_junk_lines", 0)
	text, err := os.ReadFile(filepath.Join(dir, "question"))
	if err != nil {
		t.Fatal(err)
	}
	line, rest, _ := strings.Cut(string(text), "} ")
	var q question
	if err := json.Unmarshal([]byte(line+"}"), &q); err != nil {
		t.Fatal(err)
	}
	if q.TimeoutMS < 4000 || q.TimeoutMS > 5000 {
		t.Errorf("timeout_ms is %d, want what is left of 5 s", q.TimeoutMS)
	}
	q.TimeoutMS = 0
	if want := (question{ID: 1, Target: "test [2001:db8::1]:8080", Address: "2001:db8::1", Port: 8080}); q != want {
		t.Errorf("the question is %+v, want %+v", q, want)
	}
	if want := "argument geheim " + dir + "\n"; rest != want {
		t.Errorf("the co-process has %q, want %q", rest, want)
	}
}

func TestOneCoProcessAnswersForAllTargetsInAnyOrder(t *testing.T) {
	dir := t.TempDir()
	c := opened(t, dir, `echo x >>$dir/starts
ask; a=$id; at=$target; ask; b=$id; bt=$target; ask
answer fail "$target"; id=$b; answer fail "$bt"; id=$a; answer fail "$at"; cat >/dev/null`)
	var all sync.WaitGroup
	for _, target := range []string{"a", "b", "c"} {
		all.Go(func() {
			if got := checked(t, c, target, 20*time.Second); got != "fail: "+target {
				t.Errorf("target %s: %s, want its own name", target, got)
			}
		})
	}
	all.Wait()
	if text, err := os.ReadFile(filepath.Join(dir, "starts")); err != nil || string(text) != "x\n" {
		t.Errorf("starts %q, %v, want one", text, err)
	}
}

func TestNoiseIsCountedAndIgnored(t *testing.T) {
	c := opened(t, t.TempDir(), `echo hello; echo; echo '{"id":99,"status":"pass"}'; echo '{"id":0,"status":"fail"}'
echo '[1]'; head -c 200000 /dev/zero | tr '\0' x; echo; echo complaint >&2
ask; answer fail first; answer pass again; ask; answer pass; cat >/dev/null`)
	if got := checked(t, c, "a", 20*time.Second); got != "fail: first" {
		t.Errorf("check = %s, want the first answer", got)
	}
	if got := checked(t, c, "a", 20*time.Second); got != "pass" {
		t.Errorf("check = %s, want the answer to the second question", got)
	}
	if got := c.process.junk.Load(); got != 5 {
		t.Errorf("%d lines of junk, want hello, two ids, a list and a line that is too long", got)
	}
}

func TestWhoAnswersOthersLeavesAHungTargetWithoutAnAnswer(t *testing.T) {
	c := opened(t, t.TempDir(), `while ask; do if [ $target = good ]; then answer pass; fi; done`)
	hung := make(chan string)
	go func() { hung <- checked(t, c, "hung", 700*time.Millisecond) }()
	within(t, "the hung target is asked for", func() bool {
		i, _ := c.process.current()
		i.mu.Lock()
		defer i.mu.Unlock()
		return i.last == 1
	})
	if got := checked(t, c, "good", 20*time.Second); got != "pass" {
		t.Errorf("the good target: %s", got)
	}
	if i, _ := c.process.current(); !i.owes.IsZero() {
		t.Errorf("it counts as silent since %v, though it answered", i.owes)
	}
	if got := <-hung; !strings.HasPrefix(got, "fail: no answer within ") {
		t.Errorf("the hung target: %s, want a failure", got)
	}
}

func TestASilentCoProcessIsNoFailureAndIsReplaced(t *testing.T) {
	dir := t.TempDir()
	c := opened(t, dir, `if [ -e $dir/second ]; then ask; answer pass; cat >/dev/null; fi; touch $dir/second; sleep 60`)
	if got := checked(t, c, "a", 300*time.Millisecond); !strings.HasPrefix(got, "error: the co-process is silent: no answer within ") {
		t.Errorf("check = %s, want an error", got)
	}
	i, _ := c.process.current()
	i.mu.Lock()
	i.owes = i.owes.Add(-patience) // as if it had been silent all the time since
	i.mu.Unlock()
	if got := checked(t, c, "a", 100*time.Millisecond); !strings.HasPrefix(got, "error: the co-process is silent") {
		t.Errorf("check = %s, want an error", got)
	}
	within(t, "another one answers", func() bool { return checked(t, c, "a", time.Second) == "pass" })
	if err := i.err; err == nil || err.Error() != "it was killed, since it was silent for 10s" {
		t.Errorf("the first one ended with %v", err)
	}
}

func TestACoProcessThatDoesNotReadIsNoFailure(t *testing.T) {
	c := opened(t, t.TempDir(), `sleep 60`)
	long := strings.Repeat("x", 100<<10) // longer than a pipe
	if got := checked(t, c, long, 300*time.Millisecond); !strings.HasPrefix(got, "error: the co-process takes no question: ") {
		t.Errorf("check = %s, want an error", got)
	}
	within(t, "it is replaced, since it has a part of a question", func() bool { return c.process.restarts.Load() == 1 })
}

func TestACoProcessThatDiesIsStartedAgain(t *testing.T) {
	dir := t.TempDir()
	c := opened(t, dir, `ask
if [ $target = die ]; then sleep 60 & echo $! >$dir/child; printf "out of ideas" >&2; exit 3; fi
answer pass; cat >/dev/null`)
	if got, want := checked(t, c, "die", 20*time.Second), "error: the co-process ended before its answer: exit status 3: out of ideas"; got != want {
		t.Errorf("check = %s, want %s", got, want)
	}
	within(t, "what it left is gone", func() bool { return gone(number(t, filepath.Join(dir, "child"))) })
	if got := checked(t, c, "a", 20*time.Second); got != "pass" && !strings.HasPrefix(got, "error: the co-process ") {
		t.Errorf("check = %s, want an error while it is down", got)
	}
	within(t, "it answers again", func() bool { return checked(t, c, "a", time.Second) == "pass" || c.process.restarts.Load() > 1 })
	if got := c.process.restarts.Load(); got != 1 {
		t.Errorf("%d restarts, want 1", got)
	}
}

func TestACrashLoopSlowsDown(t *testing.T) {
	dir := t.TempDir()
	c := opened(t, dir, `date +%s%N >>$dir/starts; exit 1`)
	var starts []string
	within(t, "four starts", func() bool {
		text, _ := os.ReadFile(filepath.Join(dir, "starts"))
		starts = strings.Fields(string(text))
		return len(starts) >= 4
	})
	var pauses []time.Duration
	for i := 1; i < 4; i++ {
		a, _ := strconv.ParseInt(starts[i-1], 10, 64)
		b, _ := strconv.ParseInt(starts[i], 10, 64)
		pauses = append(pauses, time.Duration(b-a))
	}
	if pauses[0] < firstPause*9/10 || !slices.IsSorted(pauses) || pauses[2] < 4*firstPause*9/10 {
		t.Errorf("pauses %v, want 100 ms and twice as much each time", pauses)
	}
	if got := checked(t, c, "a", time.Second); !strings.HasPrefix(got, "error: the co-process ") {
		t.Errorf("check = %s, want an error", got)
	}
}

func TestACoProcessThatCannotStartIsNoFailure(t *testing.T) {
	c := Config{Command: []string{"/nowhere/daemon"}, Directory: "/"}
	if err := c.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	within(t, "it is down", func() bool {
		return checked(t, c, "a", time.Second) == "error: the co-process is down: stat /nowhere/daemon: no such file or directory"
	})
	_ = c.Close()
	if got := checked(t, c, "a", time.Second); !strings.HasPrefix(got, "error: the co-process is down: ") {
		t.Errorf("check = %s after Close, want an error", got)
	}
}

func TestCloseEndsTheCoProcess(t *testing.T) {
	for _, tt := range []struct{ name, body, end string }{
		{"by the end of its stdin", `while ask; do answer pass; done; sleep 0; `, "fine"},
		{"by force, where it does not heed that", `trap "" TERM; ask; answer pass; sleep 60 & echo $! >$dir/child; wait; sleep 60`, ""},
	} {
		dir := t.TempDir()
		c := opened(t, dir, `echo $$ >$dir/child; trap 'echo fine >$dir/end' EXIT; `+tt.body)
		if got := checked(t, c, "a", 20*time.Second); got != "pass" {
			t.Errorf("%s: check = %s", tt.name, got)
		}
		began := time.Now()
		if err := c.Close(); err != nil || time.Since(began) > 10*time.Second {
			t.Errorf("%s: Close = %v after %v", tt.name, err, time.Since(began))
		}
		within(t, tt.name, func() bool { return gone(number(t, filepath.Join(dir, "child"))) })
		if text, _ := os.ReadFile(filepath.Join(dir, "end")); strings.TrimSpace(string(text)) != tt.end {
			t.Errorf("%s: it ended with %q, want %q", tt.name, text, tt.end)
		}
	}
}

func TestACallThatIsCalledOffIsNoFailure(t *testing.T) {
	c := opened(t, t.TempDir(), `cat >/dev/null`)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	if got := check(ctx, sdk.Target{Name: "node"}, c).String(); got != "error: context canceled" {
		t.Errorf("check = %s", got)
	}
}

func TestKilledFromOutsideItComesBack(t *testing.T) {
	dir := t.TempDir()
	c := opened(t, dir, `echo $$ >$dir/pid; while ask; do answer pass; done`)
	if got := checked(t, c, "a", 20*time.Second); got != "pass" {
		t.Fatalf("check = %s", got)
	}
	first := number(t, filepath.Join(dir, "pid"))
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	within(t, "it answers again", func() bool { return c.process.restarts.Load() == 1 && checked(t, c, "a", time.Second) == "pass" })
	if err := syscall.Kill(first, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the first one is a zombie: %v", err)
	}
}

func TestTheFaultsOfAConfiguration(t *testing.T) {
	test := plugintest.Checker(t, "execd", check)
	test.Config(`{"command": ["sh", "-c", "true"]}`).Valid()
	test.Config(`{"command": []}`).Invalid("command", "empty")
	test.Config(`{"command": ["bin/daemon"]}`).Invalid("command[0]", "whole path")
	test.Config(`{"command": ["/nowhere/daemon"]}`).Warned("command[0]", "cannot run on this node")
	test.Config(`{"command": ["sh"], "directory": "tmp"}`).Invalid("directory", "no whole path")
}

func TestLinesAreCutAndLimited(t *testing.T) {
	var got []string
	l := &lines{take: func(line []byte, cut bool) { got = append(got, fmt.Sprint(len(line), cut)) }}
	for _, part := range []string{"ab", "c\n\n \nde\nf", "\n", strings.Repeat("x", maxLine), "xx", "\n", strings.Repeat("x", maxLine) + "\nopen"} {
		if n, err := l.Write([]byte(part)); n != len(part) || err != nil {
			t.Fatalf("Write = %d, %v", n, err)
		}
	}
	if want := []string{"3 false", "2 false", "1 false", "65536 true", "65536 false"}; !slices.Equal(got, want) {
		t.Errorf("lines %v, want %v", got, want)
	}
	now, allowed := time.Unix(1000, 0), 0
	var limit limiter
	for range 50 {
		if ok, _ := limit.allow(now); ok {
			allowed++
		}
	}
	if ok, left := limit.allow(now.Add(stretch)); allowed != maxLines || !ok || left != 30 {
		t.Errorf("%d lines of 50 allowed, then %v with %d left out; want %d, then true with 30", allowed, ok, left, maxLines)
	}
}

func TestTheExampleOfThePageRunsAsWritten(t *testing.T) {
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "```sh\n")
	body, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("the page has no script")
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"ping.sh": body, "ping": "#!/bin/sh\n[ \"$*\" = '-c 1 -W 1 10.0.0.1' ]\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	config := fmt.Sprintf(`{"command": [%q], "env": {"PATH": %q}}`, filepath.Join(dir, "ping.sh"), dir+":/usr/bin:/bin")
	test := plugintest.Checker(t, "execd", check).Config(config)
	test.Against("10.0.0.1:80").Pass()
	test.Against("10.0.0.2:80").Fail("ping of 10.0.0.2")
}
