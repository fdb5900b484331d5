//go:build servers

package fenceagent

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/vipward/vipward/sdk/plugintest"
	"github.com/vipward/vipward/sdk/power"
)

func TestTheDummyAgentOfDebian(t *testing.T) {
	file := filepath.Join(t.TempDir(), "status")
	if err := os.WriteFile(file, []byte("on"), 0o600); err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf(`{"agent": "fence_dummy", "params": {"type": "file", "status_file": %q}, "poll": "100ms"}`, file)
	f := plugintest.Fencer(t, "fence-agent", power.Fence(open)).Config(config).Timeout(time.Minute)
	f.Status().Failed("fence_dummy for lb2 reads on")
	f.DryRun().Off().Unknown("dry run: fence_dummy for lb2 reads on, and would be switched off")
	f.Off().Confirmed("fence_dummy for lb2 reads off")
	f.Status().Confirmed("fence_dummy for lb2 reads off")
	f.On().Confirmed("fence_dummy for lb2 reads on")
	f.Valid()
	f.Conformance()
	f.Config(`{"agent": "fence_dummy", "params": {"status_fil": "x"}}`).Invalid("params.status_fil", `fence_dummy has no such parameter. Did you mean "status_file"?`)
	f.Config(`{"agent": "fence_dummy", "params": {"type": "fail", "power_timeout": "1"}}`).Timeout(30 * time.Second).
		Off().Failed("fence_dummy for lb2 reads on: fence_dummy, action off: ")
}

// TestTheMetadataOfDebiansAgents reads what the agents say that run without further packages.
func TestTheMetadataOfDebiansAgents(t *testing.T) {
	for agent, want := range map[string]struct{ plug, needs string }{
		"fence_dummy":    {"", ""},
		"fence_virsh":    {"plug", "ip"},
		"fence_ipmilan":  {"plug", ""},
		"fence_apc_snmp": {"plug", "ip"},
		"fence_redfish":  {"plug", "ip"},
	} {
		if _, err := exec.LookPath(agent); err != nil {
			t.Errorf("%v; it is in the package fence-agents (make deps)", err)
			continue
		}
		m, err := metadataOf(t.Context(), agent)
		if err != nil {
			t.Error(err)
			continue
		}
		if m.Name != agent || m.plug() != want.plug {
			t.Errorf("%s: name %q, plug %q, want plug %q", agent, m.Name, m.plug(), want.plug)
		}
		faults := fmt.Sprint((&Config{Agent: agent}).against(m))
		if (faults == "[]") != (want.needs == "") {
			t.Errorf("%s without parameters: %s, want that it needs %q", agent, faults, want.needs)
		}
	}
}
