package ssh

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vipward/vipward/sdk/plugintest"
	"github.com/vipward/vipward/sdk/power"
)

const someKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGykYJXvlBCkEbZ6uPvxKIvjPwLHbVnIYgW8AGmrGFhv root@lb2"

func TestTheFaultsOfAConfiguration(t *testing.T) {
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f := plugintest.Fencer(t, "ssh", power.Fence(opener(arpProbe)))
	right := fmt.Sprintf(`{"address": "10.0.0.2:22", "key_file": %q, "host_key": %q, "addresses": ["10.0.0.100"], "interface": "eth0"}`, key, someKey)
	with := func(old, new string) plugintest.FencerTest {
		if !strings.Contains(right, old) {
			t.Fatalf("no %s in %s", old, right)
		}
		return f.Config(strings.Replace(right, old, new, 1))
	}
	f.Config(right).Valid()
	with(someKey, "AAAA").Invalid("host_key", `it looks like "ssh-ed25519`)
	with(`["10.0.0.100"]`, `[]`).Invalid("addresses", "nothing could be confirmed")
	with(`["10.0.0.100"]`, `["10.0.0.100", "2001:db8::1"]`).Invalid("addresses[1]", "is not IPv4")
	with(`10.0.0.2:22`, `10.0.0.100:22`).Invalid("address", "does not move")
	with(`"interface": "eth0"`, `"user": "fence"`).Invalid("interface", "required")
	with(key, "key").Invalid("key_file", "whole path")
	with(key, "/nowhere/key").Warned("key_file", "not on this node")
	if err := os.Chmod(key, 0o644); err != nil { //nolint:gosec // what is warned of
		t.Fatal(err)
	}
	f.Config(right).Warned("key_file", "chmod 600")
}

func TestTheListOfThePeersAddresses(t *testing.T) {
	const text = `1: lo    inet 127.0.0.1/8 scope host lo\       valid_lft forever preferred_lft forever
1: lo    inet6 ::1/128 scope host \       valid_lft forever preferred_lft forever
2: eth0    inet 10.0.0.2/24 brd 10.0.0.255 scope global eth0\       valid_lft forever preferred_lft forever
2: eth0    inet 10.0.0.100/32 scope global eth0 proto 0x76 \       valid_lft 3sec preferred_lft 3sec
`
	got, err := addressesIn(text)
	if want := "[127.0.0.1 ::1 10.0.0.2 10.0.0.100]"; err != nil || fmt.Sprint(got) != want {
		t.Errorf("addressesIn = %v, %v, want %s", got, err, want)
	}
	for _, nonsense := range []string{"", "command not found\n", "2: eth0 inet x/y z"} {
		if got, err := addressesIn(nonsense); err == nil {
			t.Errorf("addressesIn(%q) = %v, want an error: a list of nothing proves nothing", nonsense, got)
		}
	}
}

func TestAPeerOutOfReachIsUnknown(t *testing.T) {
	f := plugintest.Fencer(t, "ssh", power.Fence(opener(arpProbe))).Timeout(20 * time.Second)
	config := `{"address": "127.0.0.1:9", "key_file": %q, "host_key": %q, "addresses": ["10.0.0.100"], "interface": "lo"}`
	f.Config(fmt.Sprintf(config, "/nowhere/key", someKey)).Off().Unknown("read the key: open /nowhere/key")
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.Config(fmt.Sprintf(config, key, someKey)).Off().Unknown("no private key without a passphrase")
	f.Config(fmt.Sprintf(config, key, someKey)).Conformance()
}

func TestTheEvidenceSaysThatThePowerIsOn(t *testing.T) {
	p := &peer{node: "lb2", config: Config{Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.100")}, Interface: "eth0"}}
	if got, want := p.evidence(power.Off), "lb2 has let go and is not powered off: it lists none of 10.0.0.100, and nobody answered 3 ARP probes on eth0"; got != want {
		t.Errorf("evidence = %s, want %s", got, want)
	}
}
