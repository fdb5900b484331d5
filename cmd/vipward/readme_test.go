package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// TestExamplesInTheDocumentation validates every HCL example that stands in a fence of a Markdown page. One that begins with a
// block of a virtual server is put into a whole configuration.
func TestExamplesInTheDocumentation(t *testing.T) {
	plugins := buildPlugins(t)
	pages, err := filepath.Glob("../../plugins/*/README.md")
	if err != nil {
		t.Fatal(err)
	}
	fence := regexp.MustCompile("(?s)```hcl\n(.*?)```")
	examples := 0
	for _, page := range append(pages, "../../README.md") {
		if filepath.Base(filepath.Dir(page)) == "shoutrrr" {
			continue // a module of its own, whose tests validate its page
		}
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range fence.FindAllSubmatch(text, -1) {
			examples++
			file := filepath.Join(t.TempDir(), "example.hcl")
			if err := os.WriteFile(file, whole(m[1]), 0o600); err != nil {
				t.Fatal(err)
			}
			var out, errs bytes.Buffer
			if code := execute([]string{"validate", "--plugin-dir", plugins, file}, &out, &errs); code != exitDone {
				t.Errorf("an example of %s is not valid:\n%s\n%s", page, errs.String(), whole(m[1]))
			}
		}
	}
	if examples < 4 {
		t.Errorf("only %d examples were found", examples)
	}
}

// whole makes a configuration of an example: a check alone stands in a service.
func whole(example []byte) []byte {
	if !bytes.HasPrefix(example, []byte("check ")) {
		return example
	}
	return append(append([]byte("virtual_server \"web\" {\n  address = \"10.0.0.100:80\"\n  forward = \"nat\"\n  real_server \"10.0.0.11:80\" {}\n"), example...), "}\n"...)
}
