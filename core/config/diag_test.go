package config

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestDiagnosticsForPeople(t *testing.T) {
	diags := Diagnostics{
		{
			Severity: Error, Summary: "virtual_router_id out of range", File: "web.hcl", Line: 2, Column: 23, from: 22, width: 3,
			Detail: "A virtual router identifier is 1 to 255 (RFC 9568 section 5.2.3), and the same on both nodes of a pair. This is 300.\n  an example that stays in one line, however long it may be, since it begins with a space",
			Source: "  virtual_router_id = 300", Context: `vrrp_instance "web"`,
		},
		{Severity: Warning, Summary: "without a place"},
	}
	const want = `Error: virtual_router_id out of range
  on web.hcl line 2, in vrrp_instance "web":
   2:   virtual_router_id = 300
A virtual router identifier is 1 to 255 (RFC 9568 section 5.2.3), and the same
on both nodes of a pair. This is 300.
  an example that stays in one line, however long it may be, since it begins with a space

Warning: without a place
`
	if got := textOf(diags); got != want {
		t.Errorf("WriteText writes\n%s\nwant\n%s", got, want)
	}
	var b strings.Builder
	if err := diags.WriteText(&b, true); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), "   2:   virtual_router_id = \x1b[4m300\x1b[0m\n") {
		t.Errorf("in color it does not mark the place: %q", b.String())
	}
}

func TestDiagnosticsForMachines(t *testing.T) {
	_, diags := loadText(t, "# ü\nlog { level = \"ü\" }\n", Options{})
	b, err := json.Marshal(diags)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{`"severity":"error"`, `"line":2`, `"column":15`, `"source":"log { level = \"ü\" }"`, `"context":"log"`} {
		if !strings.Contains(string(b), part) {
			t.Errorf("no %s in %s", part, b)
		}
	}
}

func TestOfALongLineOnlyWhatIsAroundTheFaultIsShown(t *testing.T) {
	_, diags := loadText(t, "locals { a = ["+strings.Repeat("1, ", 3000)+"local.b] }", Options{})
	if len(diags) != 1 || diags[0].Column != 9015 || len(diags[0].Source) > maxLine || !strings.HasSuffix(diags[0].Source, "1, local.b] }") {
		t.Errorf("the diagnostics are %+v", diags)
	}
}

func TestDiagnosticsAsAnError(t *testing.T) {
	d := Diagnostics{{Severity: Warning, Summary: "w"}, {Severity: Error, Summary: "a", File: "f", Line: 3}, {Severity: Error, Summary: "b"}}
	if got := d.Err(); got == nil || got.Error() != "f:3: a (and 1 more)" {
		t.Errorf("Err = %v", got)
	}
	if err := d[:1].Err(); err != nil {
		t.Errorf("Err of a warning = %v", err)
	}
}
