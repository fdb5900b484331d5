package fenceagent

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

// virsh is an agent like fence_virsh, whose hypervisor is a folder: a file for each machine with its state, and files for its
// faults. It notes what it was called with.
const virsh = `#!/bin/sh
dir=%s
tr '\0' ' ' </proc/$$/cmdline >>$dir/cmdline
action=reboot plug= ip= password=
while read -r line; do
	echo "$line" >>$dir/stdin
	case $line in
	action=*) action=${line#*=} ;;
	plug=*) plug=${line#*=} ;;
	ip=*) ip=${line#*=} ;;
	password=*) password=${line#*=} ;;
	esac
done
if [ "$action" = metadata ]; then
	cat $dir/metadata
	exit
fi
[ ! -e $dir/hang-$action ] || exec sleep 60
[ "$password" = geheim ] || { echo "Unable to connect/login to fencing device" >&2; exit 1; }
case $action in
monitor) [ ! -e $dir/broken ] || { echo "Failed: the hypervisor does not answer" >&2; exit 1; } ;;
list) for vm in $dir/vm-*; do echo "${vm#*/vm-},"; done ;;
status)
	case $(cat "$dir/vm-$plug") in
	on) echo "Status: ON"; exit 0 ;;
	off) echo "Status: OFF"; exit 2 ;;
	esac
	echo "Failed: Unable to obtain correct plug status or plug is not available" >&2
	exit 1
	;;
on | off)
	[ -e $dir/lies ] || echo $action >"$dir/vm-$plug"
	[ ! -e $dir/fails ] || { echo "Failed: Timed out waiting to power $action" >&2; exit 1; }
	echo "Success: Powered $action"
	;;
*) exit 1 ;;
esac
`

const virshMetadata = `<?xml version="1.0" ?>
<resource-agent name="fence_fake" shortdesc="A folder" >
<symlink name="fence_alias" shortdesc="The same" />
<longdesc>A folder.</longdesc>
<parameters>
	<parameter name="action" unique="0" required="1"><content type="string" default="reboot" /></parameter>
	<parameter name="ip" unique="0" required="1" obsoletes="ipaddr"><content type="string" /></parameter>
	<parameter name="ipaddr" unique="0" required="1" deprecated="1"><content type="string" /></parameter>
	<parameter name="password" unique="0" required="0" obsoletes="passwd"><content type="string" /></parameter>
	<parameter name="password_script" unique="0" required="0"><content type="string" /></parameter>
	<parameter name="plug" unique="0" required="1" obsoletes="port"><content type="string" /></parameter>
	<parameter name="port" unique="0" required="1" deprecated="1"><content type="string" /></parameter>
	<parameter name="method" unique="0" required="0"><content type="select" default="onoff"><option value="onoff" /><option value="cycle" /></content></parameter>
	<parameter name="login_timeout" unique="0" required="0"><content type="second" default="5" /></parameter>
</parameters>
<actions>
	<action name="on" automatic="0"/><action name="off" /><action name="reboot" /><action name="status" />
	<action name="list" /><action name="monitor" /><action name="metadata" />
</actions>
</resource-agent>
`

// agent writes the agent, and a machine web2 that is on.
func agent(t *testing.T) (dir, path string) {
	t.Helper()
	dir = t.TempDir()
	path = filepath.Join(dir, "fence_fake")
	put(t, dir, "fence_fake", fmt.Sprintf(virsh, dir))
	put(t, dir, "metadata", virshMetadata)
	put(t, dir, "vm-web2", "on\n")
	return dir, path
}

func put(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func fencer(t *testing.T, path, more string) plugintest.FencerTest {
	t.Helper()
	config := fmt.Sprintf(`{"agent": %q, "params": {"ip": "10.9.0.5"}, "secrets": {"password": "geheim"}, "plugs": {"lb1": "web1", "lb2": "web2"},
		"poll": "100ms"%s}`, path, more)
	return plugintest.Fencer(t, "fence-agent", power.Fence(open)).Config(config).Timeout(20 * time.Second)
}

func TestAnAgent(t *testing.T) {
	dir, path := agent(t)
	f := fencer(t, path, "")
	f.Status().Failed("fence_fake for lb2 (web2) reads on")
	f.Off().Confirmed("fence_fake for lb2 (web2) reads off")
	f.Status().Confirmed("reads off")
	f.On().Confirmed("reads on")
	f.Valid()
	fencer(t, path, `, "action": "reboot"`).Off().Confirmed("reads off, and was switched on again")
	stdin := read(t, dir, "stdin")
	if want := "ip=10.9.0.5\npassword=geheim\nplug=web2\nnodename=lb2\naction=off\n"; !strings.Contains(stdin, want) {
		t.Errorf("the agent did not read\n%sbut\n%s", want, stdin)
	}
	if line := read(t, dir, "cmdline"); strings.Contains(line, "geheim") || strings.Contains(line, "off") {
		t.Errorf("the agent was called with %s", line)
	}
	if strings.Count(stdin, "action=metadata") != 1 {
		t.Errorf("the metadata was asked for more than once:\n%s", stdin)
	}
}

func TestADryRunOfAnAgent(t *testing.T) {
	dir, path := agent(t)
	f := fencer(t, path, "").DryRun()
	f.Off().Unknown("dry run: fence_fake for lb2 (web2) reads on, and would be switched off")
	put(t, dir, "broken", "")
	f.Off().Unknown("action monitor: exit status 1: Failed: the hypervisor does not answer")
	if stdin := read(t, dir, "stdin"); strings.Contains(stdin, "action=off") || strings.Contains(stdin, "action=on\n") {
		t.Errorf("the dry run switched:\n%s", stdin)
	}
}

func TestThePlugOfANode(t *testing.T) {
	dir, path := agent(t)
	fencer(t, path, "").Node("lb3").Off().Unknown(`plugs does not say what node "lb3" is called at the device`)
	put(t, dir, "vm-lb2", "on\n")
	config := `{"agent": %q, "params": {"ip": "10.9.0.5"%s}, "secrets": {"password": "geheim"}}`
	f := fencer(t, path, "")
	f.Config(fmt.Sprintf(config, path, "")).Off().Confirmed("fence_fake for lb2 reads off")
	f.Config(fmt.Sprintf(config, path, `, "plug": "web2"`)).Status().Failed("reads on")
	put(t, dir, "vm-web1", "strange\n")
	f.Node("lb1").Status().Unknown("Unable to obtain correct plug status")
}

func TestAnAgentThatDoesNotDoItsWork(t *testing.T) {
	for _, tt := range []struct {
		name, faults, more string
		want               func(plugintest.FencerResult)
	}{
		{"it says that it did, and did not", "lies", "", func(r plugintest.FencerResult) {
			r.Failed("was switched off without an error, and still reads on after")
		}},
		{"it fails, and did not", "lies fails", "", func(r plugintest.FencerResult) {
			r.Failed("reads on: ")
		}},
		{"it fails, and did", "fails", "", func(r plugintest.FencerResult) {
			r.Confirmed("reads off, although switching it ended with: ")
		}},
		{"off hangs", "hang-off", "", func(r plugintest.FencerResult) { r.Failed("action off: killed at the deadline") }},
		{"everything hangs", "hang-off hang-status", "", func(r plugintest.FencerResult) { r.Unknown("did not answer in time") }},
		{"wrong password", "", `, "secrets": {"password": "falsch"}`, func(r plugintest.FencerResult) {
			r.Unknown("action status: exit status 1: Unable to connect/login to fencing device")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir, path := agent(t)
			for _, fault := range strings.Fields(tt.faults) {
				put(t, dir, fault, "")
			}
			tt.want(fencer(t, path, tt.more).Timeout(8 * time.Second).Off())
		})
	}
}

func TestTheMetadataChecksTheParameters(t *testing.T) {
	dir, path := agent(t)
	fencer(t, path, "").Status() // asks for the metadata, without the haste of a validation
	f := plugintest.Fencer(t, "fence-agent", power.Fence(open))
	with := func(params string) plugintest.FencerTest {
		return f.Config(fmt.Sprintf(`{"agent": %q, "params": {"ip": "10.9.0.5"%s}}`, path, params))
	}
	with("").Valid()
	with(`, "login-timeout": "7"`).Valid()
	with(`, "pasword_script": "/bin/pw"`).Invalid("params.pasword_script", `fence_fake has no such parameter. Did you mean "password_script"? It has action, ip,`)
	with(`, "zzz": "1"`).Invalid("params.zzz", "no such parameter. It has")
	with(`, "method": "hammer"`).Invalid("params.method", `"hammer" is not one of onoff, cycle`)
	with(`, "login_timeout": "soon"`).Invalid("params.login_timeout", "whole number")
	with(`, "port": "web2"`).Warned("params.port", "calls it plug now")
	with(`, "password": "geheim"`).Warned("params.password", "write it into secrets")
	with(`, "action": "off"`).Invalid("params.action", "gives the action itself")
	with(`, "nodename": "lb2"`).Invalid("params.nodename", "gives the node's name itself")
	with(`, "delay": "5"`).Warned("params.delay", "sleeps")
	with(`, "plug": "a\nb"`).Invalid("params.plug", "one line")
	f.Config(fmt.Sprintf(`{"agent": %q}`, path)).Invalid("params", "fence_fake needs the parameter ip")
	f.Config(fmt.Sprintf(`{"agent": %q, "params": {"ipaddr": "10.9.0.5"}}`, path)).Warned("params.ipaddr", "calls it ip now")
	f.Config(fmt.Sprintf(`{"agent": %q, "params": {"ip": "10.9.0.5", "plug": "web2"}, "plugs": {"lb2": "web2"}}`, path)).Invalid("plugs", "nobody reads it")
	f.Config(`{"agent": "/nowhere/fence_fake"}`).Warned("agent", "cannot run on this node")
	f.Config(`{"agent": "bin/fence_fake"}`).Invalid("agent", "whole path")

	put(t, dir, "metadata", strings.NewReplacer(`<action name="status" />`, "", `<action name="on" automatic="0"/>`, "").Replace(virshMetadata))
	put(t, dir, "fence_fake", fmt.Sprintf(virsh, dir)+"# another version\n")
	fencer(t, path, "").Status()
	with("").Invalid("agent", "without off and status nothing can be confirmed")
	f.Config(fmt.Sprintf(`{"agent": %q, "params": {"ip": "10.9.0.5"}, "action": "reboot"}`, path)).Invalid("action", "no action on")
	put(t, dir, "metadata", strings.Replace(virshMetadata, `<action name="on" automatic="0"/>`, "", 1))
	put(t, dir, "fence_fake", fmt.Sprintf(virsh, dir)+"# yet another one\n")
	fencer(t, path, "").DryRun().On().Unknown("fence_fake has no action on")
}

func TestWhatIsNoAgent(t *testing.T) {
	f := plugintest.Fencer(t, "fence-agent", power.Fence(open)).Timeout(20 * time.Second)
	f.Config(`{"agent": "/nowhere/fence_fake"}`).Off().Unknown("no such file or directory")
	f.Config(`{"agent": "/bin/true"}`).Off().Unknown("no metadata as of a fence agent")
	f.Config(`{"agent": "/bin/false"}`).Off().Unknown("/bin/false, action metadata: exit status 1")
}

func TestConformance(t *testing.T) {
	_, path := agent(t)
	fencer(t, path, "").Conformance()
}
