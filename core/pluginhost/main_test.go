package pluginhost

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// plugins is the directory with the executables that the tests run: the bundled plugins, and the one that misbehaves.
var plugins string

func TestMain(m *testing.M) {
	if dir := os.Getenv("PLUGINHOST_TEST_HOST"); dir != "" {
		hostUntilKilled(dir)
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	var err error
	if plugins, err = os.MkdirTemp("", "vipward-plugins-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(plugins)
	for name, pkg := range map[string]string{
		"vipward-plugins": "../../cmd/vipward-plugins", "vipward-plugin-chaos": "../../tests/plugins/chaos",
		"vipward-plugin-frozen": "../../tests/plugins/frozen",
		"vipward-plugin-secret": "../../tests/plugins/secret",
	} {
		build := exec.Command("go", "build", "-o", filepath.Join(plugins, name), pkg)
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build %s: %v\n%s", pkg, err, out)
			return 1
		}
	}
	for _, name := range []string{"tcp", "http", "exec"} {
		if err := os.Symlink("vipward-plugins", filepath.Join(plugins, prefix+name)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return m.Run()
}

// hostUntilKilled is a host in a process of its own, for the test that kills it.
func hostUntilKilled(dir string) {
	h := New(Options{Dirs: []string{dir}})
	h.Apply(nil, []checkConfig{chaosCheck("a"), {ID: "t", Kind: "tcp", Name: "t", Interval: time.Second, Timeout: time.Second}}, nil)
	for {
		ready := true
		for _, s := range h.Status() {
			ready = ready && s.PID != 0
		}
		if ready {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	for _, s := range h.Status() {
		fmt.Println(s.PID)
	}
	fmt.Println("ready")
	select {}
}
