package config

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// fakePlugins are the plugins of the tests: they declare schemas like those of real ones, and find one fault of their own.
type fakePlugins map[string]*pluginv1.Schema

func plugins() fakePlugins {
	return fakePlugins{
		"http": {
			Attributes: []*pluginv1.Attribute{
				{Name: "url", Type: "string", Doc: "The URL to get."},
				{Name: "path", Type: "string", DefaultJson: `"/"`, ConflictsWith: []string{"url"}},
				{Name: "status", Type: "list(int)", Min: new(100.0), Max: new(599.0), Doc: "The status codes that pass."},
				{Name: "digest", Type: "string", Pattern: "[0-9a-f]{32}"},
				{Name: "algorithm", Type: "string", OneOf: []string{"md5", "sha256"}, RequiredWith: []string{"digest"}},
				{Name: "headers", Type: "map(string)"},
				{Name: "grace", Type: "duration", Min: new(0.1), Max: new(5.0)},
				{Name: "tls", Type: "bool"},
				{Name: "from", Type: "address"},
				{Name: "uri", Type: "string", Deprecated: "Write path."},
			},
			Blocks: []*pluginv1.NestedBlock{{
				Name: "header", MaxItems: 2, Labels: []string{"name"},
				Schema: &pluginv1.Schema{Attributes: []*pluginv1.Attribute{{Name: "value", Type: "string", Required: true}}},
			}},
		},
		"tcp": {},
		"exec": {
			Attributes: []*pluginv1.Attribute{
				{Name: "command", Type: "list(string)", Required: true, Doc: "The program and its arguments."},
				{Name: "user", Type: "string"},
				{Name: "format", Type: "string", OneOf: []string{"monitoring", "misc"}},
			},
		},
		"file": {
			Attributes: []*pluginv1.Attribute{
				{Name: "path", Type: "string", Required: true}, {Name: "as", Type: "string", OneOf: []string{"state", "weight"}},
			},
		},
		"process": {
			Attributes: []*pluginv1.Attribute{{Name: "name", Type: "string"}, {Name: "command", Type: "list(string)"}, {Name: "quorum", Type: "int"}},
		},
		"mail": {
			Attributes: []*pluginv1.Attribute{
				{Name: "server", Type: "endpoint", Required: true},
				{Name: "password", Type: "string", Secret: true, Pattern: "[!-~]*"},
				{Name: "to", Type: "set(string)"},
			},
		},
		"greedy": {Attributes: []*pluginv1.Attribute{{Name: "interval", Type: "duration"}}},
		"broken": nil,
	}
}

func (p fakePlugins) Schema(_ context.Context, kind pluginv1.Kind, name string, decl Plugin) (*pluginv1.Schema, error) {
	if kind == pluginv1.Kind_FENCER && name == "exec" {
		command := func(name string) *pluginv1.Attribute {
			return &pluginv1.Attribute{Name: name, Type: "list(string)", Required: true}
		}
		return &pluginv1.Schema{Attributes: []*pluginv1.Attribute{command("off"), command("status")}}, nil
	}
	s, ok := p[name]
	switch {
	case !ok:
		return nil, &MissingPlugin{Name: name, Searched: []string{"/plugins"}, Found: slices.Sorted(maps.Keys(p))}
	case s == nil:
		return nil, fmt.Errorf("start %s: exit status 2", cmpOr(decl.Path, name))
	}
	return s, nil
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// Validate finds a path without a slash, a bad second header, and hangs up on the path "/crash".
func (p fakePlugins) Validate(_ context.Context, _ pluginv1.Kind, name string, _ Plugin, config json.RawMessage) ([]*pluginv1.Diagnostic, error) {
	if name != "http" {
		return nil, nil
	}
	var c struct {
		Path   string
		Status []int
		Header []map[string]string
	}
	if err := json.Unmarshal(config, &c); err != nil {
		return nil, err
	}
	switch {
	case c.Path == "/crash":
		return nil, fmt.Errorf("the plugin has died")
	case c.Path != "" && !strings.HasPrefix(c.Path, "/"):
		return []*pluginv1.Diagnostic{{Summary: "path has no slash", Detail: "Write \"/" + c.Path + "\".", Path: path("path")}}, nil
	case slices.Contains(c.Status, 418):
		return []*pluginv1.Diagnostic{{
			Severity: pluginv1.Diagnostic_WARNING, Summary: "418 is for teapots",
			Path: path("status", slices.Index(c.Status, 418)),
		}}, nil
	case len(c.Header) == 2 && c.Header[1]["name"] == "Host":
		return []*pluginv1.Diagnostic{{Summary: "Host is set by the check", Path: path("header", 1, "value")}}, nil
	}
	return nil, nil
}

func path(steps ...any) []*pluginv1.PathStep {
	var out []*pluginv1.PathStep
	for _, s := range steps {
		switch s := s.(type) {
		case string:
			out = append(out, &pluginv1.PathStep{Step: &pluginv1.PathStep_Attribute{Attribute: s}})
		case int:
			out = append(out, &pluginv1.PathStep{Step: &pluginv1.PathStep_Index{Index: int64(s)}})
		}
	}
	return out
}

// write puts files into a folder of their own; the text of each begins after its name in the arguments.
func write(t testing.TB, files ...string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for i := 0; i < len(files); i += 2 {
		if err := os.WriteFile(filepath.Join(dir, files[i]), []byte(files[i+1]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// mustLoad loads one text that has to be right, without warnings.
func mustLoad(t testing.TB, text, node string) *Config {
	t.Helper()
	c, diags := loadText(t, text, Options{Node: node, Plugins: plugins()})
	if len(diags) > 0 {
		t.Fatalf("Load says\n%s", textOf(diags))
	}
	return c
}

func loadText(t testing.TB, text string, opt Options) (*Config, Diagnostics) {
	t.Helper()
	return Load(t.Context(), filepath.Join(write(t, "test.hcl", text), "test.hcl"), opt)
}

func textOf(d Diagnostics) string {
	var b strings.Builder
	_ = d.WriteText(&b, false) // a Builder takes everything
	return b.String()
}
