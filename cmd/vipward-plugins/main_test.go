package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// The test binary is the command itself when it is called by a plugin's name.
func TestMain(m *testing.M) {
	if name := filepath.Base(os.Args[0]); strings.HasPrefix(name, "vipward-plugin") && !strings.HasSuffix(name, ".test") {
		main()
		return
	}
	os.Exit(m.Run())
}

// command is this command under another name.
func command(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return &exec.Cmd{Path: self, Args: append([]string{"/plugins/" + name}, args...), Env: []string{}}
}

func TestTheNameChoosesThePlugin(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		want string
		code int
	}{
		{"vipward-plugin-http", nil, `checker "http": makes one HTTP request`, 0},
		{"vipward-plugins", []string{"tcp"}, `checker "tcp": connects by TCP`, 0},
		{"vipward-plugin-exec", nil, `notifier "exec": runs a command for every event`, 0},
		{"vipward-plugin-exec", nil, `checker "exec": runs a monitoring plugin`, 0},
		{"vipward-plugin-exec", nil, `fencer "exec": runs commands that switch`, 0},
		{"vipward-plugin-fence-agent", nil, `fencer "fence-agent": runs a fence agent`, 0},
		{"vipward-plugin-ipmi", nil, `fencer "ipmi": switches the power`, 0},
		{"vipward-plugin-redfish", nil, `fencer "redfish": switches the power`, 0},
		{"vipward-plugin-ssh", nil, `fencer "ssh": asks the peer`, 0},
		{"vipward-plugin-webhook", nil, `fencer "webhook": switches a node`, 0},
		{"vipward-plugin-execd", nil, `checker "execd": asks a co-process`, 0},
		{"vipward-plugin-tcp", nil, "version devel.", 0},
		{"vipward-plugin-htp", nil, "no bundled plugin \"htp\"\nusage: vipward-plugins NAME, or by a link named vipward-plugin-NAME\nbundled: ", 2},
		{"vipward-plugins", nil, "usage: vipward-plugins NAME", 2},
	} {
		cmd := command(t, tt.name, tt.args...)
		out, _ := cmd.CombinedOutput()
		if !strings.Contains(string(out), tt.want) || cmd.ProcessState.ExitCode() != tt.code {
			t.Errorf("%s %v: exit %d, want %d\n%s", tt.name, tt.args, cmd.ProcessState.ExitCode(), tt.code, out)
		}
	}
}

func TestAPluginEndsWithItsLifeline(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := command(t, "vipward-plugin-tcp")
	cmd.Env = []string{
		pluginv1.CookieKey + "=" + pluginv1.CookieValue, "PLUGIN_PROTOCOL_VERSIONS=1", "PLUGIN_UNIX_SOCKET_DIR=" + t.TempDir(),
		pluginv1.LifelineEnv + "=3",
	}
	cmd.ExtraFiles = []*os.File{r}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r.Close()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "1|1|unix|/") || !strings.HasSuffix(line, "|grpc|\n") {
		t.Errorf("handshake %q, %v", line, err)
	}
	w.Close()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("the plugin ended with %v", err)
		}
	case <-time.After(20 * time.Second):
		_ = cmd.Process.Kill()
		t.Error("the plugin lives on after its host is gone")
	}
}
