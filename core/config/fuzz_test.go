package config

import (
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
)

// FuzzLoad feeds Load with any bytes: it must come back, and give a configuration or a reason.
func FuzzLoad(f *testing.F) {
	for _, name := range []string{"pair-dr.hcl", "reference.hcl"} {
		f.Add([]byte(sample(f, name)))
	}
	for _, text := range []string{
		twoNodes, around("path = \"/\""), instanceWith("web", manyAddresses(3)), "locals {\n a = local.b\n b = local.a\n}",
		`variable "v" { type = map(object({ a = string })) }`, "dynamic \"log\" {\n for_each = [1]\n content {}\n}",
		"locals { a = [for x in range(3) : { y = x }]\n b = try(local.a[7], null)\n}",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		if len(src) > 1<<16 {
			t.Skip("a larger one finds nothing more")
		}
		s, read := parse(src, "fuzz.hcl")
		for _, node := range append(nodeNames([]*source{s}), "") {
			c, diags := load(t.Context(), []*source{s}, "", append(hcl.Diagnostics(nil), read...), Options{Node: node, Plugins: plugins()})
			if (c == nil) != diags.HasErrors() {
				t.Errorf("on %q a configuration: %v, errors: %v", node, c != nil, diags.HasErrors())
			}
			_ = textOf(diags)
		}
	})
}

// FuzzPlain proves that what passes without a look at its tokens passes with one.
func FuzzPlain(f *testing.F) {
	for _, seed := range []string{"a = [1, 2]\n", "b \"x\" {\n  # [[[\n  c = \"[[[\"\n}\n", strings.Repeat("[", 200), "a = 1e9999999\n", "a = \"${[\"]\"]}\"\n", "a = <<E\n]\nE\n", "({]a+b\n", "[{\n} "} {
		f.Add(seed, 1)
		f.Add(seed, 150)
	}
	f.Fuzz(func(t *testing.T, text string, times int) {
		src := []byte(strings.Repeat(text, min(max(times, 1), 200)))
		if len(src) > maxFile || !isPlain(src) {
			return
		}
		if diags := checkTokens(src, "f.hcl"); diags.HasErrors() {
			t.Errorf("%q is plain, and %v", src, diags)
		}
	})
}
