package examples

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNewProjects makes every project that can be made: its tests pass as they are.
func TestNewProjects(t *testing.T) {
	for _, kind := range []string{"checker", "notifier", "fencer", "witness"} {
		t.Run("go "+kind, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "project")
			shell(t, ".", vipward, "plugin", "new", kind, "fresh", "--dir", dir, "--replace", root(t))
			shell(t, dir, "make", "test", "conform")
			if out := shell(t, dir, "gofmt", "-l", "."); out != "" {
				t.Errorf("not laid out: %s", out)
			}
		})
		t.Run("python "+kind, func(t *testing.T) {
			t.Parallel()
			needPython(t)
			dir := filepath.Join(t.TempDir(), "project")
			shell(t, ".", vipward, "plugin", "new", kind, "fresh", "--lang", "python", "--dir", dir)
			shell(t, dir, "./test.sh")
		})
	}
}

// TestExamplesAreWhatNewMakes keeps the examples that come from templates from being changed on one side only.
func TestExamplesAreWhatNewMakes(t *testing.T) {
	tests := []struct {
		example string
		args    []string
		files   []string
	}{
		{
			"checker-banner-python",
			[]string{"checker", "greeting", "--lang", "python"},
			[]string{"vipward-plugin-greeting", "plugin_pb2.py", "test.sh", "example.hcl", "README.md", ".gitignore"},
		},
		{
			"fencer-outlet",
			[]string{"fencer", "outlet", "--replace", root(t)},
			[]string{"main.go", "main_test.go", "go.mod", "go.sum", "Makefile", "example.hcl"},
		},
		{
			"witness-claims",
			[]string{"witness", "claims", "--replace", root(t)},
			[]string{"main.go", "main_test.go", "go.mod", "go.sum", "Makefile", "example.hcl"},
		},
		{
			"checker-banner", []string{"checker", "banner", "--replace", root(t)}, []string{"go.mod", "go.sum"},
		},
		{
			"notifier-chat", []string{"notifier", "chat", "--replace", root(t)}, []string{"go.mod", "go.sum", "Makefile"},
		},
	}
	for _, c := range tests {
		dir := filepath.Join(t.TempDir(), c.example)
		shell(t, ".", append([]string{vipward, "plugin", "new", "--dir", dir}, c.args...)...)
		for _, f := range c.files {
			made, example := read(t, filepath.Join(dir, f)), read(t, filepath.Join(root(t), "examples", c.example, f))
			made = bytes.Replace(made, []byte("=> "+root(t)), []byte("=> ../.."), 1)
			if !bytes.Equal(made, example) {
				t.Errorf("examples/%s/%s is not what vipward plugin new makes", c.example, f)
			}
		}
	}
}

// TestTheProtocolInPythonIsTheProtocol wants the generated module to be made from the protocol as it is.
func TestTheProtocolInPythonIsTheProtocol(t *testing.T) {
	needPython(t)
	const script = `
import sys
sys.path.insert(0, sys.argv[1])
import plugin_pb2
names = []
for service in plugin_pb2.DESCRIPTOR.services_by_name.values():
    names += [service.name + "." + m.name for m in service.methods]
for message in plugin_pb2.DESCRIPTOR.message_types_by_name.values():
    names += ["%s.%s = %d" % (message.name, f.name, f.number) for f in message.fields]
print("\n".join(names))
`
	out := shell(t, ".", "/usr/bin/python3", "-B", "-c", script, filepath.Join(root(t), "examples", "checker-banner-python"))
	have := strings.Fields(strings.ReplaceAll(out, " = ", "="))
	want := protocol()
	seen := make(map[string]bool)
	for _, name := range have {
		seen[name] = true
	}
	for _, name := range want {
		if !seen[name] {
			t.Errorf("plugin_pb2.py has no %s: make it again with make gen", name)
		}
	}
	if len(have) != len(want) {
		t.Errorf("plugin_pb2.py has %d methods and fields, the protocol %d", len(have), len(want))
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
