package fenceagent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/agext/levenshtein"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/command"
)

// askLimit bounds the question for the metadata: vipward waits 5 s for the judgement of a configuration.
const askLimit = 4 * time.Second

// Validate checks the parameters against the metadata of the agent. Where the agent is not on this node, it warns.
func (c *Config) Validate() error {
	faults := append(c.ours(), c.runs())
	if c.runs() != nil {
		return errors.Join(faults...)
	}
	ctx, cancel := context.WithTimeout(context.Background(), askLimit)
	defer cancel()
	meta, err := metadataOf(ctx, c.Agent)
	if err != nil {
		return errors.Join(append(faults, sdk.Warning(sdk.PathError(fmt.Errorf("the parameters are not checked: %w", err), "agent")))...)
	}
	return errors.Join(append(faults, c.against(meta)...)...)
}

// runs tells whether the agent can run on this node.
func (c *Config) runs() error {
	if strings.Contains(c.Agent, "/") && !filepath.IsAbs(c.Agent) {
		return sdk.PathError(fmt.Errorf("%q depends on a working directory: write the whole path", c.Agent), "agent")
	}
	if _, err := command.Find(c.Agent); err != nil {
		return sdk.Warning(sdk.PathError(fmt.Errorf("cannot run on this node: %w; on Debian it is in the package fence-agents", err), "agent"))
	}
	return nil
}

// ours are the faults that need no metadata.
func (c *Config) ours() []error {
	var faults []error
	check := func(attribute, name, value string) {
		at := func(err error) error { return sdk.PathError(err, attribute, name) }
		switch canonical(name) {
		case "action":
			faults = append(faults, at(errors.New("vipward gives the action itself; for a reboot write action = \"reboot\" in the block")))
		case "nodename":
			faults = append(faults, at(errors.New("vipward gives the node's name itself")))
		case "delay":
			faults = append(faults, sdk.Warning(at(errors.New("the agent sleeps for so long in each call, within the fencer's timeout"))))
		}
		if strings.ContainsAny(value, "\r\n") {
			faults = append(faults, at(errors.New("a value has one line: use trimspace(file(…)) for that of a file")))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Params)) {
		check("params", name, c.Params[name])
		if secretName.MatchString(name) {
			faults = append(faults, sdk.Warning(sdk.PathError(fmt.Errorf("write it into secrets = { %s = … }, so that nothing shows it", name), "params", name)))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Secrets)) {
		check("secrets", name, string(c.Secrets[name]))
		if _, twice := c.Params[name]; twice {
			faults = append(faults, sdk.PathError(errors.New("it is in params already"), "secrets", name))
		}
	}
	return faults
}

// secretName fits parameters that hold a secret, and not those that name a script which prints one.
var secretName = regexp.MustCompile(`(passwd|password|passw|secret|token)$`)

// against are the faults that the metadata shows.
func (c *Config) against(m *metadata) []error {
	var faults []error
	given := map[string]bool{}
	check := func(attribute, name, value string) {
		given[canonical(name)] = true
		faults = append(faults, sdk.PathError(m.judge(name, value), attribute, name))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Params)) {
		check("params", name, c.Params[name])
	}
	for _, name := range slices.Sorted(maps.Keys(c.Secrets)) {
		check("secrets", name, string(c.Secrets[name]))
	}
	for _, p := range m.Parameters {
		ours := slices.Contains([]string{"action", "plug", "port", "nodename"}, p.Name)
		if p.Required == "1" && p.Deprecated != "1" && p.Content.Default == "" && !ours && !given[p.Name] && !given[p.Obsoletes] {
			faults = append(faults, sdk.PathError(fmt.Errorf("%s needs the parameter %s", m.Name, p.Name), "params"))
		}
	}
	if !slices.Contains(m.actions(), "off") || !slices.Contains(m.actions(), "status") {
		faults = append(faults, sdk.PathError(fmt.Errorf(
			"%s has the actions %s: without off and status nothing can be confirmed", m.Name, strings.Join(m.actions(), ", ")), "agent"))
	}
	if c.Action == "reboot" && !slices.Contains(m.actions(), "on") {
		faults = append(faults, sdk.PathError(fmt.Errorf("%s has no action on, which a reboot needs", m.Name), "action"))
	}
	if len(c.Plugs) > 0 && (m.plug() == "" || c.gives("plug") || c.gives("port")) {
		faults = append(faults, sdk.PathError(errors.New("nobody reads it: the agent has no parameter plug, or params gives it"), "plugs"))
	}
	return faults
}

// judge says what is wrong with one parameter.
func (m *metadata) judge(name, value string) error {
	var names []string
	for _, p := range m.Parameters {
		names = append(names, p.Name)
		if p.Name != canonical(name) {
			continue
		}
		var options []string
		for _, o := range p.Content.Options {
			options = append(options, o.Value)
		}
		_, number := strconv.Atoi(value)
		switch {
		case p.Deprecated == "1" && m.successor(p.Name) != "":
			return sdk.Warning(fmt.Errorf("%s calls it %s now", m.Name, m.successor(p.Name)))
		case len(options) > 0 && !slices.Contains(options, value):
			return fmt.Errorf("%q is not one of %s", value, strings.Join(options, ", "))
		case (p.Content.Type == "integer" || p.Content.Type == "second") && number != nil:
			return errors.New("it is a whole number")
		}
		return nil
	}
	hint := ""
	if near := nearest(canonical(name), names); near != "" {
		hint = fmt.Sprintf(" Did you mean %q?", near)
	}
	return fmt.Errorf("%s has no such parameter.%s It has %s", m.Name, hint, strings.Join(names, ", "))
}

// successor is the parameter that obsoletes another; empty for none.
func (m *metadata) successor(name string) string {
	for _, p := range m.Parameters {
		if p.Obsoletes == name {
			return p.Name
		}
	}
	return ""
}

// nearest is the name that a mistyped one most likely stands for; empty where none is close.
func nearest(name string, names []string) string {
	best, least := "", max(len(name)/3, 1)+1
	for _, n := range names {
		if d := levenshtein.Distance(name, n, nil); d < least {
			best, least = n, d
		}
	}
	return best
}
