package fenceagent

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/command"
)

// answer is what came of one run of an agent.
type answer struct {
	agent, action  string
	status         int // -1 without one
	failed         error
	stdout, stderr command.Output
}

// err says why the agent did not do what it was asked for, with the last line that it said.
func (a *answer) err() error {
	line := a.stderr.LastLine()
	if line == "" {
		line = a.stdout.LastLine()
	}
	if line == "" || a.status < 0 {
		return fmt.Errorf("%s, action %s: %w", a.agent, a.action, a.failed)
	}
	return fmt.Errorf("%s, action %s: %w: %s", a.agent, a.action, a.failed, line)
}

// run runs one action. An agent without arguments reads its parameters from standard input.
func (d *device) run(ctx context.Context, action string) *answer {
	return invoke(ctx, d.config.Agent, action, d.input(action))
}

// input is what the agent reads: the configured parameters, and then ours, of which the last of a name counts.
func (d *device) input(action string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(d.config.Params)) {
		fmt.Fprintf(&b, "%s=%s\n", name, d.config.Params[name])
	}
	for _, name := range slices.Sorted(maps.Keys(d.config.Secrets)) {
		fmt.Fprintf(&b, "%s=%s\n", name, string(d.config.Secrets[name]))
	}
	if d.plug != "" {
		fmt.Fprintf(&b, "%s=%s\n", d.meta.plug(), d.plug)
	}
	fmt.Fprintf(&b, "nodename=%s\naction=%s\n", d.node, action)
	return b.String()
}

func invoke(ctx context.Context, agent, action, input string) *answer {
	a := &answer{agent: agent, action: action, status: -1}
	cmd, err := command.New(ctx, []string{agent})
	if err != nil {
		a.failed = err
		return a
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &a.stdout, &a.stderr
	a.failed = command.RunGroup(cmd)
	switch {
	case cmd.ProcessState == nil:
		return a
	case a.failed != nil && ctx.Err() != nil:
		a.failed = fmt.Errorf("killed at the deadline: %w", ctx.Err())
		return a
	}
	a.status = cmd.ProcessState.ExitCode()
	if a.failed == nil && a.status != 0 {
		a.failed = fmt.Errorf("exit status %d", a.status)
	}
	if text := strings.TrimSpace(a.stderr.String()); text != "" {
		sdk.Logger(ctx).Debug("an agent says", "agent", agent, "action", action, "status", a.status, "stderr", text)
	}
	return a
}
