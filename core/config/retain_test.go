package config

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"weak"
)

// A configuration is kept for as long as the daemon runs; its text, and what it was read into, are not.
func TestAConfigurationDoesNotHoldItsText(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lb.hcl")
	text := `vrrp_instance "web" {
  interface         = "eth0"
  virtual_router_id = 51
  priority          = 100
  virtual_address "10.0.0.100/24" {}
}
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	sources, hash, read := readSources(path)
	held := weak.Make(sources[0].hcl)
	cfg, diags := load(t.Context(), sources, hash, read, Options{Node: "lb1"})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	sources = nil
	runtime.GC()
	if held.Value() != nil {
		t.Error("it holds its text")
	}
	runtime.KeepAlive(cfg)
}
