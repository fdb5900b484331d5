package process

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/plugintest"
)

// procs is a /proc with these processes: the name, the state, and the words of the command line.
func procs(all ...string) fstest.MapFS {
	m := fstest.MapFS{"1/stat": {Data: []byte("1 (init) S 0")}, "self/stat": {Data: []byte("9 (nginx) S 0")}, "uptime": {}}
	for i, p := range all {
		words := strings.Split(p, "|")
		m[fmt.Sprintf("%d/stat", 100+i)] = &fstest.MapFile{Data: fmt.Appendf(nil, "%d (%s) %s 1 1 1", 100+i, words[0], words[1])}
		m[fmt.Sprintf("%d/cmdline", 100+i)] = &fstest.MapFile{Data: []byte(strings.Join(words[2:], "\x00") + "\x00")}
	}
	return m
}

func TestWhichProcessesCount(t *testing.T) {
	for _, c := range []struct {
		name   string
		procs  []string
		wanted []string
		want   int
	}{
		{"by the kernel's name", []string{"nginx|S|nginx: master process /usr/sbin/nginx", "nginx|R|nginx: worker process", "sshd|S|sshd"}, []string{"nginx"}, 2},
		{"by the name of the program's file", []string{"python3|S|/opt/app/server.py|--port"}, []string{"server.py"}, 1},
		{"by the whole path", []string{"haproxy|S|/usr/sbin/haproxy|-f", "haproxy|S|/opt/haproxy|-f"}, []string{"/usr/sbin/haproxy"}, 1},
		{"a name that the kernel has cut", []string{"a-very-long-nam|S|/bin/sh"}, []string{"a-very-long-name-indeed"}, 1},
		{"a part of a name is another name", []string{"nginx-exporter|S|/bin/nginx-exporter"}, []string{"nginx"}, 0},
		{"a name in the arguments is no program", []string{"vi|S|vi|nginx"}, []string{"nginx"}, 0},
		{"the dead do not count", []string{"nginx|Z|", "nginx|X|"}, []string{"nginx"}, 0},
		{"a command line that begins so", []string{"java|S|/usr/bin/java|-jar|app.jar|-v", "java|S|/usr/bin/java|-jar|other.jar"}, []string{"java", "-jar", "app.jar"}, 1},
		{"a command line that is shorter", []string{"java|S|/usr/bin/java|-jar"}, []string{"java", "-jar", "app.jar"}, 0},
		{"a name with brackets", []string{"a) S (b|S|x"}, []string{"a) S (b"}, 1},
		{"a thread of the kernel has no command line", []string{"kworker|I|"}, []string{"kworker"}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := count(t.Context(), procs(c.procs...), c.wanted)
			if err != nil || got != c.want {
				t.Errorf("count = %d, %v, want %d", got, err, c.want)
			}
		})
	}
}

func TestWhatTheNumberMeans(t *testing.T) {
	for _, c := range []struct {
		name   string
		config Config
		n      int
		want   string
	}{
		{"one is enough", Config{Quorum: 1}, 1, "pass"},
		{"none", Config{Quorum: 1}, 0, `fail: there is no process "nginx"`},
		{"too few", Config{Quorum: 3}, 2, `fail: 2 of the process "nginx", want at least 3`},
		{"too many", Config{Quorum: 1, QuorumMax: 2}, 3, `fail: 3 of the process "nginx", want at most 2`},
		{"within", Config{Quorum: 2, QuorumMax: 4}, 4, "pass"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.config.Name = "nginx"
			if got := c.config.judge(c.n).String(); got != c.want {
				t.Errorf("judge = %q, want %q", got, c.want)
			}
		})
	}
}

func TestAProcThatHidesSaysNothingAboutAProcess(t *testing.T) {
	hidden := procs("nginx|S|nginx")
	delete(hidden, "1/stat")
	if n, err := count(t.Context(), hidden, []string{"nginx"}); err == nil || !strings.Contains(err.Error(), "hidepid") {
		t.Errorf("count = %d, %v, want an error that names hidepid", n, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := count(ctx, procs("a|S|a"), []string{"a"}); err == nil {
		t.Errorf("count after the end of its time gives a number")
	}
}

func checker(t *testing.T, config string) plugintest.CheckerTest {
	t.Helper()
	return plugintest.Checker(t, "process", check, sdk.Summary("a test")).Config(config)
}

func TestFaultsOfTheConfiguration(t *testing.T) {
	checker(t, `{"name": "a", "quorum_max": 2}`).Valid()
	for _, c := range []struct{ config, path, want string }{
		{`{}`, "name", "say which process"},
		{`{"name": "a", "command": ["a"]}`, "command", "write one of the two"},
		{`{"command": [""]}`, "command[0]", "it is empty"},
		{`{"name": "a", "quorum": 3, "quorum_max": 2}`, "quorum_max", "2 is less than the quorum of 3"},
		{`{"name": "a", "quorum": 0}`, "quorum", ""},
	} {
		checker(t, c.config).Invalid(c.path, c.want)
	}
}

func TestARealProcessIsSeenUntilItEnds(t *testing.T) {
	name := fmt.Sprintf("vw-%d", os.Getpid())
	path := filepath.Join(t.TempDir(), name)
	if err := os.Symlink("/bin/sleep", path); err != nil {
		t.Fatal(err)
	}
	runtime.LockOSThread() // the process ends with its parent, which is a thread
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(t.Context(), path, "600")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for _, config := range []string{`{"name": %q}`, `{"command": [%q]}`, `{"command": [%q, "600"]}`} {
		checker(t, fmt.Sprintf(config, name)).Against("").Pass().Value("processes", 1)
	}
	checker(t, fmt.Sprintf(`{"name": %q}`, path)).Against("").Pass()
	checker(t, fmt.Sprintf(`{"name": %q, "quorum": 2}`, name)).Against("").Fail("want at least 2")
	checker(t, fmt.Sprintf(`{"command": [%q, "60"]}`, name)).Against("").Fail("there is no process")
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if got, err := count(t.Context(), os.DirFS("/proc"), []string{name}); got > 1 || err != nil {
		t.Errorf("count of a process that is being killed = %d, %v", got, err)
	}
	_ = cmd.Wait() // it was killed
	checker(t, fmt.Sprintf(`{"name": %q}`, name)).Against("").Fail("there is no process")
}

func TestConformance(t *testing.T) { checker(t, `{"name": "init"}`).Conformance() }
