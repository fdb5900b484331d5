package config

import (
	"strings"
	"testing"
)

func TestAPathIsRefusedThatIsThereAlready(t *testing.T) {
	for _, c := range []struct{ name, blocks, says string }{
		{"a name twice", "heartbeat \"x\" {\n address = \"192.0.2.1\"\n }\n heartbeat \"x\" {\n address = \"192.0.2.2\"\n }", "two paths \"x\""},
		{"the node's own address", "heartbeat \"x\" {\n address = \"10.0.0.1\"\n }", "two paths to 10.0.0.1"},
		{"link-local over routers", "heartbeat \"x\" {\n address = \"fe80::1\"\n routed = true\n }", "fe80::1 cannot be reached over routers"},
		{"no address", "heartbeat \"x\" {\n}", "has no address"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := "node \"lb1\" {\n address = \"10.0.0.1\"\n " + c.blocks + "\n}\n"
			_, diags := loadText(t, cfg, Options{Node: "lb1"})
			if diags.Err() == nil || !strings.Contains(diags.Err().Error(), c.says) {
				t.Errorf("Load says %v, want %q", diags.Err(), c.says)
			}
		})
	}
}

func TestHeartbeatsOverRoutersAndOnAPortOfTheirOwn(t *testing.T) {
	cfg, diags := loadText(t, `
node "lb1" { address = "10.0.0.1" }
node "lb2" {
  address = "10.0.0.2"
  heartbeat "wan" {
    address = "192.0.2.2"
    routed  = true
  }
}
arbitration { heartbeat_port = { lb1 = 5000, lb2 = 5000 } }
`, Options{Node: "lb1", Plugins: plugins()})
	expect(t, "without a key", diags, 5, `heartbeats to node "lb2" come over routers and are not signed`)
	g := cfg.Node.Guard
	if paths := g.Peers[0].Paths; g.HeartbeatPort != 5000 || len(paths) != 2 || paths[0].Routed || !paths[1].Routed {
		t.Errorf("Guard = %+v", g)
	}
}

func TestTheFaultsOfTheHeartbeatPort(t *testing.T) {
	for text, want := range map[string]string{
		"70000":                      "A UDP port is 1 to 65535. This is 70000",
		"{ lb1 = 5000, lb2 = 5001 }": "heartbeat_port is 5000 on node \"lb1\" and 5001 on node \"lb2\"",
	} {
		_, diags := loadText(t, fencedPair+"arbitration {\n heartbeat_port = "+text+"\n}", Options{Node: "lb1", Plugins: plugins()})
		if got := strings.Join(strings.Fields(textOf(diags)), " "); len(diags) != 1 || diags[0].Line != 8 || !strings.Contains(got, want) {
			t.Errorf("heartbeat_port = %s: want %q in line 8:\n%s", text, want, textOf(diags))
		}
	}
}
