package config

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestTheInsideOfABlock(t *testing.T) {
	tests := []struct{ name, text, object, fault string }{
		{"attributes become an object", `path = "/a"` + "\n" + `status = [200, 201]`, `{"path":"/a","status":[200,201]}`, ""},
		{"an empty file is an empty object", ``, `{}`, ""},
		{"blocks come with their labels", `header "Host" { value = "x" }`, `{"header":[{"name":"Host","value":"x"}]}`, ""},
		{"functions and the environment are there", `path = lower("/${env("WHERE")}")`, `{"path":"/here"}`, ""},
		{"an unknown attribute is a fault with its line", "\npaht = 1", "", `line 2`},
		{"a wrong type is a fault with its line", "\n\nstatus = 7", "", `line 3`},
		{"vipward's own attributes do not belong there", `interval = "1s"`, "", "interval"},
		{"what is no HCL is a fault", `path = `, "", "line 1"},
	}
	environ := func(name string) (string, bool) { return "HERE", name == "WHERE" }
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(write(t, "c.hcl", c.text), "c.hcl")
			object, diags := Inside(t.Context(), file, plugins()["http"], environ)
			text := textOf(diags)
			if string(object) != c.object || c.fault == "" && text != "" || !strings.Contains(text, c.fault) {
				t.Errorf("Inside = %s and %q, want %s and %q", object, text, c.object, c.fault)
			}
		})
	}
	if _, diags := Inside(t.Context(), "/nowhere.hcl", plugins()["http"], nil); !diags.HasErrors() {
		t.Error("a file that is not there is no fault")
	}
}
