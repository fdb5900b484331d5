package main

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"github.com/spf13/cobra"
)

// templates are the projects that `vipward plugin new` makes: a folder per language, and below it one per kind.
//
//go:embed templates
var templates embed.FS

// newPlugin is `vipward plugin new`: a project for the author of a plugin.
type newPlugin struct {
	lang, dir, module, replace string
}

// newPluginNewCommand is `vipward plugin new`.
func newPluginNewCommand(*globals) *cobra.Command {
	var n newPlugin
	c := &cobra.Command{
		Use:   "new checker|notifier|fencer|witness NAME",
		Short: "Make a project for a plugin of your own",
		Long: "Make a folder with a plugin that works, its tests, and what is needed to build and install it. Its tests pass as they\n" +
			"are; then replace what it does. A plugin in Go needs the module of vipward: the release that this program is, or with\n" +
			"--replace the source in a folder.",
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			p, err := n.project(args[0], args[1])
			if err != nil {
				return err
			}
			if err := n.write(p); err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "made %s; next:\n\n  cd %s && %s\n", n.dir, n.dir, p.Test)
			return err
		},
	}
	c.Flags().StringVar(&n.lang, "lang", "go", "language: go or python")
	c.Flags().StringVar(&n.dir, "dir", "", "folder to make (vipward-plugin-NAME)")
	c.Flags().StringVar(&n.module, "module", "", "path of the Go module (example.org/vipward-plugin-NAME)")
	c.Flags().StringVar(&n.replace, "replace", "", "folder with the source of vipward, instead of a release (found where this is run within it)")
	return c
}

// project is what the templates are filled in with.
type project struct {
	Kind, Name string
	// What the plugin does, in a sentence and as a summary, and how a configuration uses it.
	What, Summary, Example string
	// Test is the command that tests the project.
	Test string
	// Module, Require and Replace are for go.mod.
	Module, Require, Replace string
}

// project fills in what the command line leaves open.
func (n *newPlugin) project(kind, name string) (project, error) {
	p := project{Kind: kind, Name: name, Test: "make test"}
	if !regexp.MustCompile(`^[a-z][a-z0-9-]*$`).MatchString(name) {
		return p, usageError(fmt.Errorf("the name %q is not made of lower case letters, digits and dashes", name))
	}
	switch kind {
	case "checker":
		p.What = "It compares the greeting of a TCP service."
		p.Example = fmt.Sprintf("check %q {\n  prefix   = \"SSH-2.0\"\n  interval = \"5s\"\n  timeout  = \"2s\"\n}", name)
	case "notifier":
		p.What = "It posts events as JSON to a URL."
		p.Example = fmt.Sprintf("notifier %q \"ops\" {\n  url = \"https://hooks.example.com/vipward\"\n}", name)
	case "fencer":
		p.What = "It switches an outlet that has a URL."
		p.Example = fmt.Sprintf("fencer %q \"lb2\" {\n  url     = \"http://10.9.0.2/outlet/7\"\n  timeout = \"20s\"\n}", name)
	case "witness":
		p.What = "It asks a service with a URL which node may hold something."
		p.Example = fmt.Sprintf("witness %q \"third\" {\n  url     = \"http://10.9.0.5/claims\"\n  timeout = \"1s\"\n}\n\narbitration { witness = \"third\" }", name)
	default:
		return p, usageError(fmt.Errorf("there is no kind %q; it is checker, notifier, fencer or witness", kind))
	}
	p.Summary = strings.TrimSuffix(strings.TrimPrefix(p.What, "It "), ".")
	if n.dir == "" {
		n.dir = "vipward-plugin-" + name
	}
	switch n.lang {
	case "python":
		p.Test = "./test.sh"
		return p, nil
	case "go":
		return p, n.goModule(&p)
	}
	return p, usageError(fmt.Errorf("there is no language %q; it is go or python", n.lang))
}

// goModule says where the project gets vipward from: the release that this program is, or a folder with its source.
func (n *newPlugin) goModule(p *project) error {
	p.Module, p.Require = n.module, "v0.0.0"
	if p.Module == "" {
		p.Module = "example.org/vipward-plugin-" + p.Name
	}
	release := regexp.MustCompile(`^v[0-9]+\.[0-9]+\.[0-9]+$`).MatchString(version)
	if n.replace == "" && release {
		p.Require = version
		return nil
	}
	source := n.replace
	if source == "" {
		source = sourceAbove()
	}
	if !isSource(source) {
		return usageError(errors.New("this program is no release: say with --replace where the source of vipward lies"))
	}
	abs, err := filepath.Abs(source)
	p.Replace = abs
	return err
}

// sourceAbove is the folder of vipward's source that the working directory lies in; empty for none.
func sourceAbove() string {
	dir, err := os.Getwd()
	for ; err == nil && dir != "/"; dir = filepath.Dir(dir) {
		if isSource(dir) {
			return dir
		}
	}
	return ""
}

func isSource(dir string) bool {
	text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	return err == nil && bytes.HasPrefix(text, []byte("module github.com/vipward/vipward\n"))
}

// write makes the folder. One that has something in it stays as it is.
func (n *newPlugin) write(p project) error {
	if entries, err := os.ReadDir(n.dir); err == nil && len(entries) > 0 {
		return fmt.Errorf("%s is there already; name another folder with --dir", n.dir)
	}
	if err := os.MkdirAll(n.dir, 0o755); err != nil {
		return err
	}
	root := "templates/" + n.lang
	for _, from := range []string{root, root + "/" + p.Kind} {
		entries, err := fs.ReadDir(templates, from)
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // one template may serve all kinds
			return err
		}
		for _, e := range entries {
			if e.IsDir() {
				continue
			}
			if err := n.fill(from+"/"+e.Name(), p); err != nil {
				return err
			}
		}
	}
	return nil
}

// fill writes one file: a template is filled in, anything else copied.
func (n *newPlugin) fill(from string, p project) error {
	text, err := fs.ReadFile(templates, from)
	if err != nil {
		return err
	}
	name, isTemplate := strings.CutSuffix(filepath.Base(from), ".tmpl")
	if isTemplate {
		t, err := template.New(name).Parse(string(text))
		if err != nil {
			return err
		}
		var b bytes.Buffer
		if err := t.Execute(&b, p); err != nil {
			return err
		}
		text = b.Bytes()
	}
	mode := os.FileMode(0o644)
	if slices.Contains([]string{"plugin", "test.sh"}, name) {
		mode = 0o755
	}
	switch name {
	case "plugin":
		name = "vipward-plugin-" + p.Name
	case "gitignore":
		name = ".gitignore"
	}
	return os.WriteFile(filepath.Join(n.dir, name), text, mode)
}
