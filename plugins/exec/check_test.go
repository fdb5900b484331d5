package exec

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/plugintest"
)

var server = sdk.Target{Name: "web 10.0.0.1:80", Address: netip.MustParseAddrPort("10.0.0.1:80")}

// checked makes one run of at most 500 ms.
func checked(t *testing.T, target sdk.Target, c CheckerConfig) sdk.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if c.Directory == "" {
		c.Directory = "/"
	}
	return check(ctx, target, c)
}

func TestTheExitStatusOfAMonitoringPlugin(t *testing.T) {
	for _, tt := range []struct{ name, body, want string }{
		{"OK", `echo "OK: all is well"; exit 0`, "pass"},
		{"WARNING is a pass that somebody should look at", `echo "WARNING: disk at 91 %|disk=91%"; exit 1`, "warn: WARNING: disk at 91 %"},
		{"CRITICAL", `echo; echo "CRITICAL: no answer"; echo "long text"; exit 2`, "fail: CRITICAL: no answer"},
		{"UNKNOWN says nothing about the target", `echo "UNKNOWN: no such host"; exit 3`, "error: UNKNOWN: no such host"},
		{"nor does a status that there is not", `exit 4`, "error: exit status 4"},
		{"nor a shell that did not find a program", `no-such-program 2>/dev/null`, "error: exit status 127"},
		{"nor an end by a signal", `kill -SEGV $$`, "error: signal: segmentation fault"},
		{"the complaint of one that says nothing", `echo "no permission" >&2; exit 2`, "fail: no permission"},
	} {
		path := script(t, t.TempDir(), tt.body)
		if got := checked(t, server, CheckerConfig{Command: []string{path}}).String(); !strings.HasPrefix(got, tt.want) || tt.want == "pass" && got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestTheExitStatusOfAMiscCheck(t *testing.T) {
	const none = -1
	for _, tt := range []struct {
		name    string
		status  int
		dynamic bool
		well    bool
		weight  int
	}{
		{"well", 0, false, true, none},
		{"not well", 1, false, false, none},
		{"any other status is not well", 7, false, false, none},
		{"well, and the weight stays", 0, true, true, none},
		{"not well, with a dynamic weight", 1, true, false, none},
		{"the least weight", 2, true, true, 0},
		{"the greatest weight", 255, true, true, 253},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := script(t, t.TempDir(), fmt.Sprintf("echo no; exit %d", tt.status))
			config := fmt.Sprintf(`{"command": [%q], "format": "misc", "dynamic": %v}`, path, tt.dynamic)
			r := plugintest.Checker(t, "exec", check).Config(config).Against("10.0.0.1:80")
			if tt.well {
				r.Pass()
			} else {
				r.Fail("no")
			}
			if tt.weight != none {
				r.Weight(uint32(tt.weight))
			}
		})
	}
}

func TestPerformanceDataBecomesValues(t *testing.T) {
	for _, tt := range []struct {
		name, output, want string
	}{
		{"none", "OK", ""},
		{"a plain one", "OK|load=0.5", "load=0.5"},
		{"with unit and thresholds", "OK|size=321B;;;0 /=91%;80;90;0;100", "size=321 /=91"},
		{"times are in seconds", "OK|rta=12.5ms;100;500 time=0.25s;; cpu=40us", "rta=0.0125 time=0.25 cpu=4e-05"},
		{"a quoted label", "OK|'free space'=3GB 'it''s'=1", "free space=3 it's=1"},
		{"an unknown value", "OK|a=U b=-1.5", "b=-1.5"},
		{"words that are none", "OK|junk more 'open a=1", ""},
		{"a word in between", "OK|a=1 junk b=x c=3", "a=1 c=3"},
		{"of further lines", "OK|a=1\nlong text\nmore|b=2\nc=3", "a=1 b=2 c=3"},
		{"more than a result carries", "OK|" + strings.Repeat("a=1 ", 20), strings.TrimSpace(strings.Repeat("a=1 ", 16))},
	} {
		_, figures := splitOutput(tt.output)
		var got []string
		for _, f := range parseFigures(figures) {
			got = append(got, f.label+"="+strconv.FormatFloat(f.value, 'g', -1, 64))
		}
		if joined := strings.Join(got, " "); joined != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, joined, tt.want)
		}
	}
	path := script(t, t.TempDir(), `echo "HTTP OK|time=20ms;;;0 size=7B"`)
	plugintest.Checker(t, "exec", check).Config(`{"command": ["`+path+`"]}`).Against("10.0.0.1:80").Pass().Value("time", 0.02).Value("size", 7)
}

func TestACommandKnowsItsTarget(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("VIPWARD_PLUGIN", "cookie")
	path := script(t, dir, `echo "$*" >$dir/args; env | sort >$dir/env; pwd >$dir/pwd; cat >$dir/stdin`)
	c := CheckerConfig{
		Command: []string{path, "-H", "{address}", "http://[{address}]:{port}/", "{name}", "{print $1}"}, Directory: dir,
		Env: map[string]sdk.Secret{"PASSWORD": "geheim", "LANG": "de_DE.UTF-8"},
	}
	target := sdk.Target{Name: "web", Address: netip.MustParseAddrPort("[2001:db8::1]:8080")}
	if got := checked(t, target, c); got.String() != "pass" {
		t.Fatalf("check = %v", got)
	}
	for file, want := range map[string]string{
		"args": "-H 2001:db8::1 http://[2001:db8::1]:8080/ web {print $1}\n", "pwd": dir + "\n", "stdin": "",
	} {
		if got := read(t, filepath.Join(dir, file)); got != want {
			t.Errorf("%s is %q, want %q", file, got, want)
		}
	}
	env := "\n" + read(t, filepath.Join(dir, "env"))
	for _, want := range []string{
		"PASSWORD=geheim", "LANG=de_DE.UTF-8", "VIPWARD_TARGET_NAME=web", "VIPWARD_TARGET_ADDRESS=2001:db8::1", "VIPWARD_TARGET_PORT=8080",
	} {
		if !strings.Contains(env, "\n"+want+"\n") {
			t.Errorf("the environment lacks %s:%s", want, env)
		}
	}
	if strings.Contains(env, "VIPWARD_PLUGIN") {
		t.Errorf("the handshake is in the environment:%s", env)
	}
	if got := checked(t, sdk.Target{Name: "lb1"}, c); got.String() != "error: "+errNoAddress.Error() {
		t.Errorf("without an address check = %v", got)
	}
	c.Command = []string{path, "{name}"}
	if got := checked(t, sdk.Target{Name: "lb1"}, c); got.String() != "pass" || read(t, filepath.Join(dir, "args")) != "lb1\n" {
		t.Errorf("of the node itself check = %v", got)
	}
}

func TestWhatDoesNotEndByTheDeadlineIsKilledWithItsChildren(t *testing.T) {
	for _, tt := range []struct{ name, body string }{
		{"a command that hangs", `sleep 60 & echo $! >$dir/child; trap "" TERM; sleep 60; wait`},
		{"one that writes without end", `yes & echo $! >$dir/child; wait`},
	} {
		dir := t.TempDir()
		path := script(t, dir, tt.body)
		began := time.Now()
		if got := checked(t, server, CheckerConfig{Command: []string{path}}); got.String() != "fail: timed out after 500ms" {
			t.Errorf("%s: %v", tt.name, got)
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("%s: it took %v", tt.name, took)
		}
		ended(t, dir)
	}
}

func TestWhatACheckLeavesIsKilled(t *testing.T) {
	dir := t.TempDir()
	path := script(t, dir, `sleep 60 & echo $! >$dir/child; echo OK`)
	if got := checked(t, server, CheckerConfig{Command: []string{path}}); got.String() != "pass" {
		t.Errorf("check = %v", got)
	}
	ended(t, dir)
}

// ended wants the process whose number is in the file child to be gone, or to wait for whoever inherited it.
func ended(t *testing.T, dir string) {
	t.Helper()
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

func TestACommandThatCannotStartIsNoFailureOfTheTarget(t *testing.T) {
	dir := t.TempDir()
	garbage := filepath.Join(dir, "garbage")
	if err := os.WriteFile(garbage, []byte{0x7f, 1, 2}, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		config CheckerConfig
		want   string
	}{
		{"no such file", CheckerConfig{Command: []string{"/nowhere/check"}}, "error: stat /nowhere/check: no such file or directory"},
		{"no such program", CheckerConfig{Command: []string{"no-such-program"}}, "error: no-such-program: file does not exist in "},
		{"no such directory", CheckerConfig{Command: []string{"true"}, Directory: "/nowhere"}, "error: directory: stat /nowhere: no such file or directory"},
		{"a file that is no program", CheckerConfig{Command: []string{garbage}}, "error: fork/exec " + garbage + ": exec format error"},
	} {
		if got := checked(t, server, tt.config).String(); !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestARunThatIsCalledOffIsNoFailure(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(200*time.Millisecond, cancel)
	c := CheckerConfig{Command: []string{script(t, t.TempDir(), "sleep 60")}, Directory: "/"}
	if got := check(ctx, server, c); got.String() != "error: "+context.Canceled.Error() || !errors.Is(ctx.Err(), context.Canceled) {
		t.Errorf("check = %v, want an error", got)
	}
}

func TestTheFaultsOfACheck(t *testing.T) {
	test := plugintest.Checker(t, "exec", check)
	test.Config(`{"command": ["sh", "-c", "true"]}`).Valid()
	test.Config(`{}`).Invalid("command", "required")
	test.Config(`{"command": []}`).Invalid("command", "empty")
	test.Config(`{"command": ["./check"]}`).Invalid("command[0]", "whole path")
	test.Config(`{"command": ["/nowhere/check"]}`).Warned("command[0]", "cannot run on this node")
	test.Config(`{"command": ["sh"], "directory": "tmp"}`).Invalid("directory", "no whole path")
	test.Config(`{"command": ["sh"], "directory": "/nowhere"}`).Warned("directory", "not on this node")
	test.Config(`{"command": ["sh"], "format": "nagios"}`).Invalid("format", "not one of monitoring, misc")
	test.Config(`{"command": ["sh"], "dynamic": true}`).Invalid("dynamic", `format = "misc"`)
}
