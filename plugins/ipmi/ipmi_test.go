package ipmi

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vipward/vipward/sdk/plugintest"
	"github.com/vipward/vipward/sdk/power"
)

func TestTheFaultsOfAConfiguration(t *testing.T) {
	f := plugintest.Fencer(t, "ipmi", power.Fence(open))
	with := func(more string) plugintest.FencerTest {
		return f.Config(`{"address": "10.9.0.3:623", "user": "fence", "password": "geheim", "tool": "sh"` + more + `}`)
	}
	with("").Valid()
	f.Config(`{"address": "10.9.0.3", "user": "fence", "password": "geheim"}`).Invalid("address", "")
	f.Config(`{"address": "10.9.0.3:623", "user": "fence"}`).Invalid("password", "required")
	with(`, "cipher_suites": []`).Invalid("cipher_suites", "at least one")
	with(`, "cipher_suites": [17, 0]`).Invalid("cipher_suites[1]", "without the password")
	with(`, "privilege": "root"`).Invalid("privilege", "not one of user, operator, administrator")
	f.Config(`{"address": "10.9.0.3:623", "user": "fence", "password": "012345678901234567890"}`).Invalid("password", "longer than the 20 bytes")
	f.Config(`{"address": "10.9.0.3:623", "user": "fence", "password": "geheim", "tool": "/nowhere/ipmitool"}`).Warned("tool", "cannot run on this node")
}

// tool is a stand-in for ipmitool, for what no controller can be brought to do.
func tool(t *testing.T, body string) (dir string, f plugintest.FencerTest) {
	t.Helper()
	dir = t.TempDir()
	path := filepath.Join(dir, "ipmitool")
	if err := os.WriteFile(path, []byte("#!/bin/sh\ndir="+dir+"\n"+body), 0o700); err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf(`{"address": "127.0.0.1:9", "user": "fence", "password": "geheim", "tool": %q, "poll": "100ms"}`, path)
	return dir, plugintest.Fencer(t, "ipmi", power.Fence(open)).Config(config).Timeout(5 * time.Second)
}

func TestThePasswordComesThroughAPipe(t *testing.T) {
	dir, f := tool(t, `
tr '\0' '\n' </proc/$$/cmdline >$dir/seen
env >>$dir/seen
while [ "$1" != -f ]; do shift; done
[ "$(cat "$2")" = geheim ] || exit 1
echo "Chassis Power is off"
`)
	f.Timeout(20 * time.Second).Status().Confirmed("reads off")
	seen, err := os.ReadFile(filepath.Join(dir, "seen"))
	if err != nil || strings.Contains(string(seen), "geheim") || !strings.Contains(string(seen), "-U\nfence\n") {
		t.Errorf("arguments and environment are %s, %v", seen, err)
	}
}

func TestAToolThatHangsOrTalksNonsense(t *testing.T) {
	_, f := tool(t, "sleep 60\n")
	f.Off().Unknown("127.0.0.1:9 does not answer: context deadline exceeded")
	_, f = tool(t, "echo Chassis Power is sideways\n")
	f.Status().Unknown(`reads "sideways", which is neither on nor off`)
	_, f = tool(t, "echo hello\n")
	f.Status().Unknown(`ipmitool says "hello" instead of the power's state`)
	_, f = tool(t, "echo it is broken >&2; exit 1\n")
	f.Status().Unknown("ipmitool: exit status 1: it is broken")
}

func TestTheWordsOfIpmitool(t *testing.T) {
	const noise = "Loading IANA PEN Registry...\n"
	for _, tt := range []struct{ name, said, want string }{
		{
			"wrong password", noise + "> RAKP 2 HMAC is invalid\nError: Unable to establish IPMI v2 / RMCP+ session\n",
			`wrong password of user "fence" at 10.9.0.3:623`,
		},
		{
			"unknown suite", noise + "Error in open session response message : no matching cipher suite\n\nError: Unable to establish IPMI v2 / RMCP+ session",
			"the controller does not know cipher suite 17 (it says: no matching cipher suite)",
		},
		{
			"not allowed", noise + "Discovered IPMB address 0x0\nSet Chassis Power Control to Down/Off failed: Insufficient privilege level\n",
			`user "fence" may not do this at 10.9.0.3:623 with the privilege operator`,
		},
		{"silence", "Error: Unable to establish IPMI v2 / RMCP+ session\n", "10.9.0.3:623 does not answer"},
		{"anything else", "out of memory\n", "ipmitool: exit status 1: out of memory"},
		{"nothing", "", "ipmitool: exit status 1"},
	} {
		c := Config{User: "fence", Privilege: "operator"}
		if err := c.Address.UnmarshalText([]byte("10.9.0.3:623")); err != nil {
			t.Fatal(err)
		}
		got := (&ipmitool{config: c}).complaint(errors.New("exit status 1"), "17", tt.said)
		if got.Error() != tt.want {
			t.Errorf("%s: %v, want %s", tt.name, got, tt.want)
		}
	}
}
