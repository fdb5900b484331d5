package exec

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vipward/vipward/sdk/plugintest"
	"github.com/vipward/vipward/sdk/power"
)

// machine is a node whose power is a file, and a script that switches it with the faults of its other files.
func machine(t *testing.T) (dir, path string) {
	t.Helper()
	dir = t.TempDir()
	put(t, dir, "power", "on")
	return dir, script(t, dir, `
echo "$VIPWARD_ACTION $VIPWARD_NODE $*" >>$dir/calls
[ "$VIPWARD_ACTION" != status ] || [ ! -e $dir/hang ] || exec sleep 60
case $VIPWARD_ACTION in
status)
	[ ! -e $dir/broken ] || { echo "no answer from the controller" >&2; exit 1; }
	case $(cat $dir/power) in on) exit 0 ;; off) exit 2 ;; esac
	;;
*)
	[ -e $dir/lies ] || echo $VIPWARD_ACTION >$dir/power
	[ ! -e $dir/fails ] || { echo "the controller said no" >&2; exit 3; }
	;;
esac`)
}

func put(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func fencer(t *testing.T, path, more string) plugintest.FencerTest {
	t.Helper()
	config := fmt.Sprintf(`{"off": [%q, "{node}"], "on": [%q], "status": [%q], "poll": "20ms"%s}`, path, path, path, more)
	return plugintest.Fencer(t, "exec", power.Fence(openSwitch)).Config(config).Timeout(20 * time.Second)
}

func TestAFencerOfCommands(t *testing.T) {
	dir, path := machine(t)
	f := fencer(t, path, "")
	f.Valid()
	f.Status().Failed("lb2 reads on")
	f.Off().Confirmed("lb2 reads off")
	f.Status().Confirmed("lb2 reads off")
	f.On().Confirmed("lb2 reads on")
	if calls := read(t, filepath.Join(dir, "calls")); !strings.HasPrefix(calls, "status lb2 \noff lb2 lb2\nstatus lb2 \n") {
		t.Errorf("the calls are\n%s", calls)
	}
}

func TestAFencerOfCommandsThatDoNotDoTheirWork(t *testing.T) {
	for _, tt := range []struct {
		name, faults string
		want         func(plugintest.FencerResult)
	}{
		{"it says that it did, and did not", "lies", func(r plugintest.FencerResult) {
			r.Failed("lb2 was switched off without an error, and still reads on")
		}},
		{"it fails, and did not", "lies fails", func(r plugintest.FencerResult) {
			r.Failed("lb2 reads on: off: exit status 3: the controller said no")
		}},
		{"it fails, and did", "fails", func(r plugintest.FencerResult) {
			r.Confirmed("lb2 reads off, although switching it ended with: off: exit status 3: the controller said no")
		}},
		{"the status cannot be read", "broken", func(r plugintest.FencerResult) {
			r.Unknown("status: exit status 1: no answer from the controller")
		}},
		{"the status hangs", "hang", func(r plugintest.FencerResult) {
			r.Unknown("lb2 did not answer in time: status: killed at the deadline")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir, path := machine(t)
			for _, fault := range strings.Fields(tt.faults) {
				put(t, dir, fault, "")
			}
			tt.want(fencer(t, path, "").Timeout(5 * time.Second).Off())
		})
	}
}

func TestAFencerOfCommandsThatReboots(t *testing.T) {
	dir, path := machine(t)
	fencer(t, path, `, "action": "reboot"`).Off().Confirmed("lb2 reads off, and was switched on again")
	if state := read(t, filepath.Join(dir, "power")); state != "on\n" {
		t.Errorf("the power is %q", state)
	}
}

func TestADryRunOfAFencerOfCommands(t *testing.T) {
	dir, path := machine(t)
	fencer(t, path, "").DryRun().Off().Unknown("dry run: lb2 reads on, and would be switched off")
	if calls := read(t, filepath.Join(dir, "calls")); calls != "status lb2 \n" {
		t.Errorf("the calls are\n%s", calls)
	}
	config := `{"off": ["/nowhere/off"], "status": [%q]}`
	f := fencer(t, path, "").Config(fmt.Sprintf(config, path))
	f.DryRun().Off().Unknown("stat /nowhere/off: no such file or directory")
	f.DryRun().On().Unknown("there is no command on")
	put(t, dir, "power", "off")
	f.On().Failed("lb2 reads off: there is no command on")
}

func TestTheSecretOfAFencerIsInItsEnvironmentOnly(t *testing.T) {
	dir := t.TempDir()
	path := script(t, dir, `[ "$PASSWORD" = geheim ] || exit 1; cat /proc/$$/cmdline >$dir/cmdline; exit 2`)
	fencer(t, path, `, "env": {"PASSWORD": "geheim"}`).Status().Confirmed("reads off")
	if line := read(t, filepath.Join(dir, "cmdline")); strings.Contains(line, "geheim") {
		t.Errorf("the arguments are %q", line)
	}
}

func TestTheFaultsOfAFencerOfCommands(t *testing.T) {
	f := plugintest.Fencer(t, "exec", power.Fence(openSwitch))
	f.Config(`{"off": ["sh"]}`).Invalid("status", "required")
	f.Config(`{"status": ["sh"]}`).Invalid("off", "required")
	f.Config(`{"off": ["bin/off"], "status": ["sh"]}`).Invalid("off[0]", "whole path")
	f.Config(`{"off": ["sh"], "status": ["sh"], "on": []}`).Invalid("on", "empty")
	f.Config(`{"off": ["sh"], "status": ["sh"], "action": "reboot"}`).Invalid("action", "needs the command on")
	f.Config(`{"off": ["/nowhere/off"], "status": ["sh"]}`).Warned("off[0]", "cannot run on this node")
}

func TestConformanceOfTheFencer(t *testing.T) {
	_, path := machine(t)
	fencer(t, path, "").Conformance()
}
