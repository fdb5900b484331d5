package pluginhost

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/core/config"
	"github.com/vipward/vipward/core/health"
)

// needRoot fails where the daemon could not change users: a test that is left out proves nothing.
func needRoot(t *testing.T) daemon {
	t.Helper()
	d, err := thisDaemon()
	if err != nil || os.Getuid() != 0 || !d.switches {
		t.Fatalf("this test needs root with its capabilities, as make test has it: %+v, %v", d, err)
	}
	return d
}

// statusOf are the lines of /proc/PID/status that are about privileges.
func statusOf(t *testing.T, pid int) map[string]string {
	t.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		t.Fatal(err)
	}
	lines := make(map[string]string)
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		lines[name] = strings.Join(strings.Fields(value), " ")
	}
	return lines
}

func caps(c capabilities) string {
	text := strconv.FormatUint(uint64(c), 16)
	return strings.Repeat("0", 16-len(text)) + text
}

func TestAPluginMayDoNothingThatItWasNotGranted(t *testing.T) {
	d := needRoot(t)
	own := statusOf(t, os.Getpid())
	nobody, root := "65534 65534 65534 65534", "0 0 0 0"
	for _, tt := range []struct {
		name   string
		plugin string
		decl   config.Plugin
		check  config.Check
		uid    string
		caps   capabilities
	}{
		{name: "a third party's is nobody and has no capability", plugin: "chaos", uid: nobody},
		{name: "a bundled one that only connects is nobody, too", plugin: "tcp", uid: nobody},
		{
			name: "a user of its own has no capability", plugin: "tcp",
			decl: config.Plugin{User: "daemon"}, uid: "1 1 1 1",
		},
		{
			name: "a user has the capabilities that it is granted, and can have no other", plugin: "chaos",
			decl: config.Plugin{User: "nobody", Capabilities: []string{"net_raw", "net_admin"}}, uid: nobody, caps: netRaw | netAdmin,
		},
		{
			name: "no user needs to be named for a grant", plugin: "chaos",
			decl: config.Plugin{Capabilities: []string{"net_raw"}}, uid: nobody, caps: netRaw,
		},
		{name: "root alone is no capability", plugin: "chaos", decl: config.Plugin{User: "root"}, uid: root},
		{
			name: "root has the capabilities that it is granted", plugin: "chaos",
			decl: config.Plugin{User: "root", Capabilities: []string{"net_raw"}}, uid: root, caps: netRaw,
		},
		{
			name: "root has all where it is granted all", plugin: "chaos",
			decl: config.Plugin{User: "root", Capabilities: []string{"all"}}, uid: root, caps: d.caps,
		},
		{name: "exec runs scripts as root with all", plugin: "exec", uid: root, caps: d.caps},
		{name: "exec as a user has none", plugin: "exec", decl: config.Plugin{User: "nobody"}, uid: nobody},
		{name: "exec without capabilities has none", plugin: "exec", decl: config.Plugin{Capabilities: []string{}}, uid: root},
		{
			name: "a mark of the packets takes the capability for it", plugin: "tcp",
			check: config.Check{Mark: 7}, uid: nobody, caps: netAdmin,
		},
		{
			name: "so does a device", plugin: "tcp",
			check: config.Check{Device: "lo"}, uid: nobody, caps: netRaw,
		},
		{
			name: "what is granted is what it gets, whatever its checks take", plugin: "tcp",
			decl: config.Plugin{Capabilities: []string{}}, check: config.Check{Mark: 7}, uid: nobody,
		},
		{name: "a third party's gets nothing for its checks", plugin: "chaos", check: config.Check{Mark: 7}, uid: nobody},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			c := tt.check
			c.ID, c.Kind, c.Name, c.Interval, c.Timeout = "c", tt.plugin, "c", 100*time.Millisecond, 10*time.Second
			c.Target = greeter(t, "")
			if tt.plugin == "exec" {
				c.Config = json.RawMessage(`{"command":["/bin/true"]}`)
			}
			w.Apply(map[string]config.Plugin{tt.plugin: tt.decl}, []config.Check{c}, nil)
			w.observed("c", 1)
			status := statusOf(t, w.pid(tt.plugin))
			ambient, inherited := tt.caps, tt.caps
			if tt.uid == root { // an execve(2) of root's needs none
				ambient, inherited = 0, 0
			}
			bounding := caps(tt.caps)
			if tt.caps == d.caps {
				bounding = own["CapBnd"]
			}
			for name, want := range map[string]string{
				"Uid": tt.uid, "Groups": "", "NoNewPrivs": "1", "CapPrm": caps(tt.caps), "CapEff": caps(tt.caps),
				"CapInh": caps(inherited), "CapAmb": caps(ambient), "CapBnd": bounding,
			} {
				if name == "Groups" && tt.caps == d.caps {
					want = own["Groups"]
				}
				if status[name] != want {
					t.Errorf("%s: %s, want %s", name, status[name], want)
				}
			}
		})
	}
	after := statusOf(t, os.Getpid())
	for _, name := range []string{"Uid", "Groups", "NoNewPrivs", "CapPrm", "CapEff", "CapInh", "CapAmb", "CapBnd"} {
		if after[name] != own[name] {
			t.Errorf("the host itself has %s %s, before %s", name, after[name], own[name])
		}
	}
}

// TestAMarkWorks is about a capability that is not only there, but enough.
func TestAMarkWorks(t *testing.T) {
	needRoot(t)
	w := newWorld(t)
	w.Apply(nil, []config.Check{{
		ID: "t", Kind: "tcp", Name: "t", Target: greeter(t, ""), Mark: 7, Device: "lo", Interval: time.Second, Timeout: 10 * time.Second,
	}}, nil)
	w.observed("t", 1)
	if o := w.observations("t")[0]; o.Outcome != health.Pass {
		t.Errorf("observation %+v, want a pass", o)
	}
}

func TestASchemaIsAskedOfTheProcessThatRuns(t *testing.T) {
	w := newWorld(t)
	w.Apply(nil, []config.Check{{ID: "t", Kind: "tcp", Name: "t", Mark: 7, Interval: time.Second, Timeout: time.Second}}, nil)
	w.observed("t", 1)
	p, err := w.process(config.Plugin{Name: "tcp"})
	if err != nil || p != w.applied["tcp"] {
		t.Errorf("process = %p, %v; want %p, which runs", p, err, w.applied["tcp"])
	}
	if p, err := w.process(config.Plugin{Name: "tcp", User: "nobody"}); err != nil || p == w.applied["tcp"] {
		t.Errorf("process = %p, %v; want another for another declaration", p, err)
	}
}

func TestEachPluginHasAConfinedThreadAndTheHostHasNone(t *testing.T) {
	before := confined(t)
	w := newWorld(t)
	w.Apply(nil, []config.Check{chaosCheck("a"), {ID: "t", Kind: "tcp", Name: "t", Interval: time.Second, Timeout: time.Second}}, nil)
	w.observed("a", 1)
	w.observed("t", 1)
	if n := confined(t); n != before+2 {
		t.Errorf("%d threads of the host are confined, want one for each of 2 plugins", n-before)
	}
	w.Close()
	w.until("the threads end with the plugins", func() bool { return confined(t) <= before })
}

// confined counts the threads of this process that can get no new privileges.
func confined(t *testing.T) int {
	t.Helper()
	threads, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil || len(threads) == 0 {
		t.Fatalf("threads %v: %v", threads, err)
	}
	n := 0
	for _, path := range threads {
		status, _ := os.ReadFile(path)
		if strings.Contains(string(status), "\nNoNewPrivs:\t1\n") {
			n++
		}
	}
	return n
}

// scribble starts a plugin that tries to write to some places, NAME=PATH, and ends. It returns what became of that.
func scribble(t *testing.T, w *world, decl config.Plugin, places ...string) []string {
	t.Helper()
	decl.Name, decl.Env = "chaos", map[string]string{"CHAOS": "start-scribble", "CHAOS_PLACES": strings.Join(places, ":")}
	if _, err := w.Describe(t.Context(), decl); err == nil {
		t.Fatal("the plugin started")
	}
	var out []string
	w.until("it says what it could write", func() bool {
		out = nil
		for line := range strings.Lines(w.logged()) {
			if _, rest, ok := strings.Cut(line, `msg="scribble `); ok {
				text, _, _ := strings.Cut(rest, `"`)
				out = append(out, text)
			}
		}
		return len(out) >= len(places)
	})
	return out
}

func TestAPluginWritesWhereItMay(t *testing.T) {
	d := needRoot(t)
	if d.landlock == 0 {
		t.Fatal("this test needs a kernel with landlock: CONFIG_SECURITY_LANDLOCK, and landlock among the LSMs that are on")
	}
	open, granted := t.TempDir(), t.TempDir()
	for _, dir := range []string{open, granted, filepath.Dir(open)} {
		if err := os.Chmod(dir, 0o777); err != nil { // only landlock says no here
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Dir(filepath.Dir(open)), 0o777); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(granted, "file")
	for _, tt := range []struct {
		name string
		decl config.Plugin
		want []string
	}{
		{"an unprivileged one to its own folder", config.Plugin{}, []string{"own yes", "open no", "granted no", "etc no"}},
		{"root, too", config.Plugin{User: "root"}, []string{"own yes", "open no", "granted no", "etc no"}},
		{"and where it is granted to", config.Plugin{Writable: []string{granted}}, []string{"own yes", "open no", "granted yes", "etc no"}},
		{"to all that its user may", config.Plugin{Writable: []string{"/"}}, []string{"own no", "open yes", "granted yes", "etc no"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_ = os.Remove(file)
			w := newWorld(t)
			got := scribble(t, w, tt.decl, "own=$TMPDIR/x", "open="+open+"/x", "granted="+file, "etc=/etc/vipward-scribble")
			slices.Sort(got)
			want := slices.Clone(tt.want)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("it could write: %v, want %v", got, want)
			}
			if _, err := os.Stat("/etc/vipward-scribble"); err == nil {
				_ = os.Remove("/etc/vipward-scribble")
				t.Error("it wrote into /etc")
			}
		})
	}
}

func TestAKernelWithoutLandlockIsTold(t *testing.T) {
	d := daemon{uid: 0, switches: true, caps: netRaw}
	c, err := d.confine(config.Plugin{Name: "x"}, false, 0)
	if err != nil || c.Landlock != 0 || !strings.Contains(c.String(), "this kernel has no landlock") {
		t.Errorf("confinement %s, %v", c, err)
	}
	w := newWorld(t)
	for range 2 {
		w.remark(config.Plugin{Name: "x"}, c, d)
	}
	if n := strings.Count(w.logged(), "msg=\"this kernel has no landlock"); n != 1 {
		t.Errorf("it is said %d times, want once:\n%s", n, w.logged())
	}
}

func TestWhatADaemonGivesToItsPlugins(t *testing.T) {
	root := daemon{uid: 0, switches: true, caps: 1<<41 - 1, landlock: 7}
	bounded := daemon{uid: 0, caps: netAdmin | netRaw, landlock: 7} // root in a container
	user := daemon{uid: 1, landlock: 3}
	for _, tt := range []struct {
		name    string
		daemon  daemon
		decl    config.Plugin
		bundled bool
		extra   capabilities
		want    string
	}{
		{"a third party's", root, config.Plugin{Name: "x"}, false, netRaw, "user nobody, no capability, writes nowhere but to its own folder"},
		{"a third party's that has the name of a bundled one", root, config.Plugin{Name: "exec"}, false, 0, "user nobody, no capability, writes nowhere but to its own folder"},
		{"a bundled one", root, config.Plugin{Name: "http"}, true, 0, "user nobody, no capability, writes nowhere but to its own folder"},
		{"a bundled one whose checks have a mark", root, config.Plugin{Name: "http"}, true, netAdmin, "user nobody, the capabilities net_admin, writes nowhere but to its own folder"},
		{"ping", root, config.Plugin{Name: "ping"}, true, 0, "user nobody, the capabilities net_raw, writes nowhere but to its own folder"},
		{"ssh reads a key of root's", root, config.Plugin{Name: "ssh"}, true, 0, "user root, the capabilities net_raw, writes nowhere but to its own folder"},
		{"nginx runs what the operator says", root, config.Plugin{Name: "nginx"}, true, 0, "user root, the capabilities all, writes wherever its user may"},
		{"mysql reads a password of root's", root, config.Plugin{Name: "mysql"}, true, 0, "user root, no capability, writes nowhere but to its own folder"},
		{"file reads any file", root, config.Plugin{Name: "file"}, true, 0, "user root, the capabilities dac_read_search, writes nowhere but to its own folder"},
		{"fifo writes to any", root, config.Plugin{Name: "fifo"}, true, 0, "user root, the capabilities dac_override, writes wherever its user may"},
		{"with somewhere to write", root, config.Plugin{Name: "x", Writable: []string{"/srv"}}, false, 0, "user nobody, no capability, writes to /srv and its own folder"},
		{"exec of a user", root, config.Plugin{Name: "exec", User: "nobody"}, true, 0, "user nobody, no capability, writes wherever its user may"},
		{"all, as a user", root, config.Plugin{Name: "x", User: "nobody", Capabilities: []string{"all"}}, false, 0, "user nobody, the capabilities all, writes nowhere but to its own folder"},
		{"a daemon that cannot change users", bounded, config.Plugin{Name: "http"}, true, netAdmin, "user root, the capabilities net_admin, writes nowhere but to its own folder"},
		{"a daemon without privileges", user, config.Plugin{Name: "exec"}, true, 0, "user daemon, no capability, writes wherever its user may"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if c, err := tt.daemon.confine(tt.decl, tt.bundled, tt.extra); err != nil || c.String() != tt.want {
				t.Errorf("it gets %q, %v; want %q", c, err, tt.want)
			}
		})
	}
	for _, tt := range []struct {
		name   string
		daemon daemon
		decl   config.Plugin
		want   string
	}{
		{"more than the daemon has", bounded, config.Plugin{Name: "x", Capabilities: []string{"sys_admin", "net_raw"}}, "the capability sys_admin, which the daemon itself does not have"},
		{"another user than the daemon can give", user, config.Plugin{Name: "x", User: "nobody"}, "it is to run as nobody, and the daemon may start no process of another user"},
		{"a user that there is not", root, config.Plugin{Name: "x", User: "nobody-at-all"}, "unknown user nobody-at-all"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := tt.daemon.confine(tt.decl, false, 0); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("confine = %v, want %q", err, tt.want)
			}
		})
	}
}

func TestAUserNamespaceWithASingleUserHasNoOther(t *testing.T) {
	for text, want := range map[string]bool{"         0       1000          1\n": true, "0 0 4294967295\n": false, "0 1000 1\n1 100000 65536\n": false, "": false} {
		if got := isAlone(text); got != want {
			t.Errorf("isAlone(%q) = %v, want %v", text, got, want)
		}
	}
}

func TestWhoCouldChangeAPlugin(t *testing.T) {
	const file, folder = syscall.S_IFREG, syscall.S_IFDIR
	self := &syscall.Stat_t{Mode: file | 0o755}
	for _, tt := range []struct {
		name string
		stat syscall.Stat_t
		self *syscall.Stat_t
		want string
	}{
		{"root", syscall.Stat_t{Mode: file | 0o755}, self, ""},
		{"root's group", syscall.Stat_t{Mode: file | 0o775}, self, ""},
		{"everybody", syscall.Stat_t{Mode: file | 0o757}, self, "can be written by everybody, and is not run for that: chmod o-w /p"},
		{"everybody, in a sticky folder", syscall.Stat_t{Mode: folder | syscall.S_ISVTX | 0o777}, self, ""},
		{"everybody, in another folder", syscall.Stat_t{Mode: folder | 0o777}, self, "can be written by everybody"},
		{"a sticky bit of a file", syscall.Stat_t{Mode: file | syscall.S_ISVTX | 0o777}, self, "can be written by everybody"},
		{"a group", syscall.Stat_t{Mode: file | 0o775, Gid: 7}, self, "can be written by the group 7"},
		{"the group that may write the daemon", syscall.Stat_t{Mode: file | 0o775, Gid: 7}, &syscall.Stat_t{Mode: file | 0o775, Gid: 7}, ""},
		{"a group that may read the daemon", syscall.Stat_t{Mode: file | 0o775, Gid: 7}, &syscall.Stat_t{Mode: file | 0o755, Gid: 7}, "by the group 7"},
		{"a user", syscall.Stat_t{Mode: file | 0o755, Uid: 7}, self, "belongs to the user 7, who could change it"},
		{"the daemon's user", syscall.Stat_t{Mode: file | 0o755, Uid: 5}, self, ""},
		{"the user that the daemon's executable belongs to", syscall.Stat_t{Mode: file | 0o755, Uid: 7}, &syscall.Stat_t{Uid: 7}, ""},
	} {
		err := intruder("/p", &tt.stat, tt.self, 5)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestALandlockIsAskedForNoRightThatItDoesNotKnow(t *testing.T) {
	if tree, file := landlockRights(1); tree&unix.LANDLOCK_ACCESS_FS_TRUNCATE != 0 || file != unix.LANDLOCK_ACCESS_FS_WRITE_FILE {
		t.Errorf("version 1 knows %x and %x", tree, file)
	}
	if tree, file := landlockRights(3); tree&unix.LANDLOCK_ACCESS_FS_REFER == 0 || file&unix.LANDLOCK_ACCESS_FS_TRUNCATE == 0 {
		t.Errorf("version 3 knows %x and %x", tree, file)
	}
}

func TestASocketIsWhereThePluginsUserGetsTo(t *testing.T) {
	needRoot(t)
	closed := t.TempDir() // nobody but root passes through the folder above it
	w := newWorld(t)
	w.o.RunDir = filepath.Join(closed, "run")
	w.Apply(nil, []config.Check{chaosCheck("a")}, nil)
	w.observed("a", 1)
	if filepath.Dir(w.dir) != shared {
		t.Errorf("the sockets are in %s, want it in %s", w.dir, shared)
	}
	dir := w.dir
	w.Close()
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("Close left %s: %v", dir, err)
	}
	t.Setenv("TMPDIR", closed)
	for _, others := range []bool{true, false} {
		dir, err := makeRunDir("", others)
		if err != nil {
			t.Fatal(err)
		}
		if got := filepath.Dir(dir) == shared; got != others {
			t.Errorf("with other users %v the sockets are in %s", others, dir)
		}
		_ = os.RemoveAll(dir)
	}
}

// TestRootIsConfinedWhereTheBoundingSetMayNotBeTouched is a daemon without CAP_SETPCAP, as in many a container.
func TestRootIsConfinedWhereTheBoundingSetMayNotBeTouched(t *testing.T) {
	d := needRoot(t)
	d.caps &^= 1 << 8
	c, err := d.confine(config.Plugin{Name: "x", User: "root", Capabilities: []string{"net_raw"}, Writable: []string{"/"}}, false, 0)
	if err != nil {
		t.Fatal(err)
	}
	status := make(chan string, 1)
	go onThread(func() {
		if err := shrink(d.caps); err != nil {
			status <- err.Error()
			return
		}
		if err := c.enter("/nowhere", d); err != nil {
			status <- err.Error()
			return
		}
		text, _ := os.ReadFile("/proc/thread-self/status")
		status <- string(text)
	})
	text := <-status
	for _, want := range []string{"CapPrm:\t" + caps(netRaw), "CapEff:\t" + caps(netRaw), "CapInh:\t" + caps(0), "NoNewPrivs:\t1"} {
		if !strings.Contains(text, "\n"+want+"\n") {
			t.Errorf("want %q in\n%s", want, text)
		}
	}
}
