package config

import (
	"strings"
	"testing"
)

func TestAPathIsRefusedThatIsThereAlready(t *testing.T) {
	for _, c := range []struct{ name, blocks, says string }{
		{"a name twice", "heartbeat \"x\" {\n address = \"192.0.2.1\"\n }\n heartbeat \"x\" {\n address = \"192.0.2.2\"\n }", "two paths \"x\""},
		{"the node's own address", "heartbeat \"x\" {\n address = \"10.0.0.1\"\n }", "two paths to 10.0.0.1"},
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
