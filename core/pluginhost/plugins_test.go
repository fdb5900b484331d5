package pluginhost

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/core/config"
	"github.com/vipward/vipward/core/health"
	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// greeter greets everybody who connects.
func greeter(t *testing.T, greeting string) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte(greeting))
			conn.Close()
		}
	}()
	return netip.MustParseAddrPort(l.Addr().String())
}

func TestTheExampleOfTheGuideWorks(t *testing.T) {
	path := filepath.Join(t.TempDir(), prefix+"banner")
	build := exec.Command("go", "build", "-o", path, ".")
	build.Dir = "../../examples/checker-banner" // a module of its own
	build.Env = append(os.Environ(), "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the example: %v\n%s", err, out)
	}
	w := newWorld(t)
	w.Apply(map[string]config.Plugin{"banner": {Path: path}}, []config.Check{
		bannerCheck("ssh", greeter(t, "SSH-2.0-x\r\n"), `{}`),
		bannerCheck("mail", greeter(t, "220 mail\r\n"), `{"prefix":"220 "}`),
		bannerCheck("wrong", greeter(t, "HTTP/1.1 400 Bad Request\r\n"), `{"prefix":"220 "}`),
	}, nil)
	for check, want := range map[string]health.Observation{
		"ssh":   {Outcome: health.Pass, Weight: -1},
		"mail":  {Outcome: health.Pass, Weight: -1},
		"wrong": {Outcome: health.Fail, Reason: `greeting "HTTP"`, Weight: -1},
	} {
		w.observed(check, 1)
		got := w.observations(check)[0]
		if got.Took <= 0 {
			t.Errorf("%s: it took %v", check, got.Took)
		}
		if got.Took = 0; !cmp.Equal(got, want) {
			t.Errorf("%s: %+v, want %+v", check, got, want)
		}
	}
}

func bannerCheck(id string, target netip.AddrPort, configJSON string) config.Check {
	return config.Check{
		ID: id, Kind: "banner", Name: id, Config: json.RawMessage(configJSON), Target: target,
		Interval: 100 * time.Millisecond, Timeout: 10 * time.Second,
	}
}

func TestAPluginInheritsNothingOfTheDaemon(t *testing.T) {
	t.Setenv("DAEMON_SECRET", "geheim")
	w := newWorld(t)
	w.Apply(map[string]config.Plugin{"tcp": {Env: map[string]string{"MINE": "yes"}, Args: []string{"-x"}}}, []config.Check{
		{ID: "t", Kind: "tcp", Name: "t", Interval: time.Second, Timeout: time.Second},
	}, nil)
	w.observed("t", 1)
	proc := "/proc/" + strconv.Itoa(w.pid("tcp"))
	env, err := os.ReadFile(proc + "/environ")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(env), "geheim") || !strings.Contains(string(env), "\x00MINE=yes\x00") && !strings.HasPrefix(string(env), "MINE=yes\x00") {
		t.Errorf("environment %q", env)
	}
	args, _ := os.ReadFile(proc + "/cmdline")
	if want := filepath.Join(plugins, "vipward-plugin-tcp") + "\x00-x\x00"; string(args) != want {
		t.Errorf("arguments %q, want %q", args, want)
	}
	name, _ := os.ReadFile(proc + "/comm")
	if string(name) != "vipward-tcp\n" {
		t.Errorf("process name %q, want vipward-tcp", name)
	}
	sockets, _ := os.Stat(w.o.RunDir)
	if sockets.Mode().Perm() != 0o711 { // the plugin's own folder is below it
		t.Errorf("the directory of the sockets has mode %v, want 0711", sockets.Mode().Perm())
	}
	own, _ := filepath.Glob(filepath.Join(w.o.RunDir, "*"))
	for _, dir := range own {
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("the plugin's own folder is %v, %v; want mode 0700", info, err)
		}
	}
	if len(own) != 1 || !strings.Contains(string(env), "TMPDIR="+own[0]+"\x00") {
		t.Errorf("folders %v, want one, which TMPDIR names in %q", own, env)
	}
}

func TestAPluginRunsAsItsUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Fatal("this test needs root, as make test has it")
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	target := greeter(t, "hello")
	w.Apply(map[string]config.Plugin{"tcp": {User: "nobody"}}, []config.Check{
		{ID: "t", Kind: "tcp", Name: "t", Config: json.RawMessage(`{"expect":"hello"}`), Target: target, Interval: time.Second, Timeout: 5 * time.Second},
	}, nil)
	w.observed("t", 1)
	if o := w.observations("t")[0]; o.Outcome != health.Pass {
		t.Errorf("observation %+v", o)
	}
	status, err := os.ReadFile("/proc/" + strconv.Itoa(w.pid("tcp")) + "/status")
	if err != nil {
		t.Fatal(err)
	}
	ids := strings.Join([]string{nobody.Uid, nobody.Uid, nobody.Uid, nobody.Uid}, "\t")
	if !strings.Contains(string(status), "Uid:\t"+ids+"\n") || !strings.Contains(string(status), "Groups:\t \n") {
		t.Errorf("the plugin runs as\n%s", status)
	}
}

func TestThePluginsResourcesAreLimited(t *testing.T) {
	for _, user := range []string{"root", "nobody"} {
		w := newWorld(t)
		w.Apply(map[string]config.Plugin{"chaos": {User: user}}, []config.Check{chaosCheck("a")}, nil)
		w.observed("a", 1)
		text, _ := os.ReadFile("/proc/" + strconv.Itoa(w.pid("chaos")) + "/limits")
		limit := func(name string) []string { // soft and hard
			_, rest, _ := strings.Cut(string(text), name)
			return append(strings.Fields(rest), "", "")[:2]
		}
		if core := limit("Max core file size"); core[0] != "0" || core[1] != "0" && user == "root" {
			t.Errorf("%s: limits of core files %v, want none\n%s", user, core, text)
		}
		// Of another user's process it takes a capability that the host may lack.
		if files := limit("Max open files"); files[1] != strconv.Itoa(fileLimit(t)) && user == "root" {
			t.Errorf("%s: limits of open files %v, want %d\n%s", user, files, fileLimit(t), text)
		}
		w.Close()
	}
}

// fileLimit is how many files a plugin of this process may open.
func fileLimit(t *testing.T) int {
	t.Helper()
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		t.Fatal(err)
	}
	return int(min(l.Max, maxFiles))
}

func TestASecretGoesToThePluginAndNowhereElse(t *testing.T) {
	const canary = "kanarienvogel"
	w := newWorld(t)
	w.Apply(nil, []config.Check{{
		ID: "s", Kind: "secret", Name: "s", Config: json.RawMessage(`{"password":"` + canary + `","length":13}`), Interval: 100 * time.Millisecond, Timeout: time.Second,
	}}, nil)
	w.observed("s", 3)
	proc := "/proc/" + strconv.Itoa(w.pid("secret"))
	args, _ := os.ReadFile(proc + "/cmdline")
	environ, _ := os.ReadFile(proc + "/environ")
	if o := w.observations("s")[0]; o.Outcome != health.Warn || o.Reason != "password ***" {
		t.Errorf("observation %+v, want a warning: the plugin got its secret", o)
	}
	w.until("the plugin logs its configuration", func() bool { return strings.Contains(w.logged(), "***") })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	faults, err := w.Validate(ctx, pluginv1.Kind_CHECKER, "secret", config.Plugin{}, json.RawMessage(`{"password":"`+canary+`","length":5}`))
	if err != nil || len(faults) != 1 {
		t.Fatalf("Validate = %v, %v; want one fault", faults, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for where, text := range map[string]string{
		"arguments": string(args), "environment": string(environ), "log": w.log.String(), "events": fmt.Sprintf("%+v", w.events),
		"observations": fmt.Sprintf("%+v", w.seen), "status": fmt.Sprintf("%+v", w.Status()), "faults": fmt.Sprintf("%+v", faults),
	} {
		if strings.Contains(text, canary) {
			t.Errorf("the secret is in the %s: %s", where, text)
		}
	}
}

func TestAVerifiedPluginRunsByItsDigest(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(plugins, "vipward-plugin-chaos"))
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	declared := map[string]config.Plugin{"chaos": {SHA256: strings.ToUpper(sum(text))}}
	w.Apply(declared, []config.Check{chaosCheck("a")}, nil)
	w.observed("a", 1)
	old := w.pid("chaos")
	killed, err := os.FindProcess(old)
	if err != nil {
		t.Fatal(err)
	}
	_ = killed.Kill()
	w.until("a second verified start", func() bool { pid := w.pid("chaos"); return pid != 0 && pid != old })
}

func sum(b []byte) string { return fmt.Sprintf("%x", sha256.Sum256(b)) }

func TestAWarningIsNoError(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	d, err := w.Validate(ctx, pluginv1.Kind_NOTIFIER, "exec", config.Plugin{}, json.RawMessage(`{"command":["/nowhere/n"]}`))
	if err != nil || len(d) != 1 || d[0].GetSeverity() != pluginv1.Diagnostic_WARNING || d[0].GetPath()[0].GetAttribute() != "command" {
		t.Errorf("Validate = %v, %v; want one warning at command", d, err)
	}
}

func TestAPluginThatAppearsLaterIsUsed(t *testing.T) {
	dir := t.TempDir()
	w := newWorld(t)
	w.o.Dirs = []string{dir}
	w.Apply(nil, []config.Check{chaosCheck("a")}, nil)
	w.until("the first failures", func() bool { return w.status("chaos").Restarts > 1 })
	if s := w.status("chaos"); s.Reason != "start plugin chaos: no plugin chaos" && s.State != Starting {
		t.Errorf("status %+v", s)
	}
	if err := os.Symlink(filepath.Join(plugins, "vipward-plugin-chaos"), filepath.Join(dir, "vipward-plugin-chaos")); err != nil {
		t.Fatal(err)
	}
	w.observed("a", 1)
	if told := strings.Join(w.told(), " "); told != "plugin.exited plugin.started" {
		t.Errorf("events %s, want one failure and the start", told)
	}
}

func TestTheBackoffDoublesUpToItsEnd(t *testing.T) {
	if d := backoff(1); d != 0 {
		t.Errorf("after the first death: %v, want at once", d)
	}
	for deaths, want := range map[int]time.Duration{2: firstDelay, 3: 2 * firstDelay, 5: 8 * firstDelay, 10: maxDelay, 1000: maxDelay} {
		if d := backoff(deaths); d < want*9/10 || d > want*11/10 {
			t.Errorf("after %d deaths: %v, want %v and a tenth", deaths, d, want)
		}
	}
}

func TestTheCatalogListsWhatCouldBeRun(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	for path, mode := range map[string]os.FileMode{
		first + "/vipward-plugin-b": 0o755, second + "/vipward-plugin-b": 0o755, second + "/vipward-plugin-a": 0o755,
		second + "/vipward-plugin-c": 0o644, second + "/other": 0o755, second + "/vipward-plugin-": 0o755,
	} {
		if err := os.WriteFile(path, nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	got := Catalog([]string{first, "/nowhere", second})
	if len(got) != 2 || got[0] != (Found{"a", second + "/vipward-plugin-a"}) || got[1] != (Found{"b", first + "/vipward-plugin-b"}) {
		t.Errorf("Catalog = %v", got)
	}
	dirs := DefaultDirs("/opt/vipward/bin/vipward")
	if dirs[0] != "/opt/vipward/bin/plugins" || len(dirs) != 3 {
		t.Errorf("DefaultDirs = %v", dirs)
	}
}
