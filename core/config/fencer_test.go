package config

import (
	"strings"
	"testing"
	"time"
)

func TestAFencer(t *testing.T) {
	c := mustLoad(t, `
fencer "mail" "lb2-power" {
  server   = "10.9.0.3:623"
  password = "geheim"
  timeout  = "30s"
}
fencer "mail" "lb2-outlet" { server = "10.9.0.9:80" }
`, "lb1")
	if len(c.Fencers) != 2 {
		t.Fatalf("Fencers = %+v, want two", c.Fencers)
	}
	f := c.Fencers[0]
	if f.Kind != "mail" || f.Name != "lb2-power" || f.Timeout != 30*time.Second || string(f.Config) != `{"password":"geheim","server":"10.9.0.3:623"}` {
		t.Errorf("Fencers[0] = %+v %s", f, f.Config)
	}
	if f := c.Fencers[1]; f.Timeout != 20*time.Second {
		t.Errorf("the default of timeout is %v, want 20s", f.Timeout)
	}
}

func TestTheFaultsOfAFencer(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		line       int
		want       string
	}{
		{"an unknown attribute", "fencer \"http\" \"a\" {\n  pth = \"/\"\n}", 2, `Did you mean "path"`},
		{"the plugin's own judgement", "fencer \"http\" \"a\" {\n  path = \"x\"\n}", 2, "path has no slash"},
		{"no such plugin", "\nfencer \"htp\" \"a\" {}", 2, `no plugin "htp"`},
		{"a timeout too long", "fencer \"tcp\" \"a\" {\n  timeout = \"2m\"\n}", 2, "timeout out of range"},
		{"a timeout too short", "fencer \"tcp\" \"a\" {\n  timeout = \"100ms\"\n}", 2, "One call of a fencer may take 1s to 60s"},
		{"two of one name", "fencer \"tcp\" \"a\" {}\nfencer \"http\" \"a\" {}", 2, `fencer "a" is declared twice`},
	} {
		_, diags := loadText(t, tt.text, Options{Node: "lb1", Plugins: plugins()})
		text := strings.Join(strings.Fields(textOf(diags)), " ")
		if len(diags) == 0 || diags[0].Line != tt.line || !strings.Contains(text, tt.want) {
			t.Errorf("%s: want %q in line %d:\n%s", tt.name, tt.want, tt.line, textOf(diags))
		}
	}
}
