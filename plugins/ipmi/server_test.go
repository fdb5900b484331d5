//go:build servers

package ipmi

import (
	"fmt"
	"testing"
	"time"

	"github.com/vipward/vipward/sdk/plugintest"
	"github.com/vipward/vipward/sdk/power"
	"github.com/vipward/vipward/tests/servers"
)

func fencer(t *testing.T, b *servers.BMC, user, password, more string) plugintest.FencerTest {
	config := fmt.Sprintf(`{"address": %q, "user": %q, "password": %q, "poll": "100ms"%s}`, b.Address, user, password, more)
	return plugintest.Fencer(t, "ipmi", power.Fence(open)).Config(config).Timeout(30 * time.Second)
}

func TestAController(t *testing.T) {
	b := servers.StartBMC(t)
	f := fencer(t, b, "fence", "geheim", "")
	f.Valid()
	f.Status().Failed("the power at 127.0.0.1 reads on")
	f.DryRun().Off().Unknown("dry run: the power at 127.0.0.1 reads on, and would be switched off")
	if !b.Powered() {
		t.Fatal("the dry run switched the power off")
	}
	f.Off().Confirmed("the power at 127.0.0.1 reads off")
	if b.Powered() {
		t.Error("the fencer has confirmed, and the power is on")
	}
	f.Off().Confirmed("reads off") // once more
	f.Status().Confirmed("reads off")
	f.On().Confirmed("reads on")
	if !b.Powered() {
		t.Error("the power is not on again")
	}
	fencer(t, b, "fence", "geheim", `, "action": "reboot"`).Off().Confirmed("reads off, and was switched on again")
	f.Conformance()
}

func TestAControllerThatDoesNotDoItsWork(t *testing.T) {
	b := servers.StartBMC(t)
	f := fencer(t, b, "fence", "geheim", "")
	fencer(t, b, "fence", "falsch", "").Off().Unknown(`wrong password of user "fence"`)
	fencer(t, b, "nobody", "geheim", "").Off().Unknown(`does not let user "nobody" in with the privilege operator: RAKP 2 message indicates an error : unauthorized name`)
	fencer(t, b, "look", "schauen", `, "privilege": "user"`).Off().Failed(`reads on: user "look" may not do this`)
	fencer(t, b, "look", "schauen", `, "privilege": "user"`).DryRun().Off().Unknown("it takes operator")
	fencer(t, b, "fence", "geheim", `, "cipher_suites": [17]`).Off().Unknown("does not know cipher suite 17 (it says: invalid authentication algorithm)")
	b.Lie()
	f.Timeout(5 * time.Second).Off().Failed("was switched off without an error, and still reads on")
	b.Pause()
	f.Timeout(5 * time.Second).Off().Unknown("does not answer")
	b.Resume()
	b.Kill()
	f.Timeout(20 * time.Second).Status().Unknown(b.Address.String() + " does not answer")
}
