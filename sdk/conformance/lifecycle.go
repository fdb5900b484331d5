package conformance

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// processChecks hold of an executable through its life.
func processChecks(c Command) []check {
	return []check{
		{"a component has the name of the executable", func(_ context.Context, s *suite) error { return named(c, s.described) }},
		{"nothing but the handshake is on its stdout", isQuiet},
		{"fifty assignments leave no descriptors open", leaksNothing},
		{"it stops within 2s when told to", func(ctx context.Context, _ *suite) error {
			return endsAfter(ctx, c, func(p *Plugin) { go p.shutdown(ctx) })
		}},
		{"it ends within 2s when its lifeline does", func(ctx context.Context, _ *suite) error {
			return endsAfter(ctx, c, func(p *Plugin) { p.process.lifeline.Close() })
		}},
		{"it ends within 2s after SIGTERM", func(ctx context.Context, _ *suite) error {
			return endsAfter(ctx, c, func(p *Plugin) { _ = p.process.cmd.Process.Signal(syscall.SIGTERM) })
		}},
	}
}

// explains starts the executable as a person would.
func explains(ctx context.Context, c Command) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.Path, c.Args...)
	cmd.Env, cmd.Dir, cmd.WaitDelay = c.Env, "/", time.Second
	if cmd.Env == nil {
		cmd.Env = []string{} // nil would be the environment of this process
	}
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return fmt.Errorf("without the variable %s it does not end", pluginv1.CookieKey)
	}
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		return err
	}
	if len(strings.TrimSpace(string(out))) == 0 {
		return errors.New("it says nothing")
	}
	if strings.HasPrefix(string(out), "1|") {
		return fmt.Errorf("it shakes hands without the variable %s", pluginv1.CookieKey)
	}
	return nil
}

// named wants the component by which a configuration finds the plugin.
func named(c Command, d *pluginv1.DescribeResponse) error {
	name, ok := strings.CutPrefix(filepath.Base(c.Path), "vipward-plugin-")
	if !ok || name == "" {
		return fmt.Errorf("the file is named %s, want vipward-plugin-NAME", filepath.Base(c.Path))
	}
	if !slices.ContainsFunc(d.GetComponents(), func(c *pluginv1.Component) bool { return c.GetName() == name }) {
		return fmt.Errorf("the executable is named %s, its components are %s", name, names(d.GetComponents()))
	}
	return nil
}

func isQuiet(_ context.Context, s *suite) error {
	if text := s.plugin.process.noise.String(); text != "" {
		return fmt.Errorf("after the handshake it prints %q", text[:min(len(text), 100)])
	}
	return nil
}

// leaksNothing has the checkers assigned and unassigned, and counts descriptors.
func leaksNothing(ctx context.Context, s *suite) error {
	const cycles, slack = 50, 10
	for _, c := range s.described.GetComponents() {
		if c.GetKind() != pluginv1.Kind_CHECKER || !s.o.covers(c) {
			continue
		}
		s.component, s.config = c, s.o.Config
		if s.config == nil {
			s.config = sample(c.GetConfig())
		}
		err := onStream(func(st *stream, target string) error { return st.cycle(s.plugin.process, target, cycles, slack) })(ctx, s)
		if err != nil {
			return err
		}
	}
	return nil
}

// cycle assigns and unassigns, and wants no more descriptors than slack above those after the first time.
func (st *stream) cycle(p *process, target string, cycles, slack int) error {
	before := 0
	for i := range uint32(cycles) + 1 {
		id := i + 1
		if err := st.assign(st.suite.assignment(id, target, time.Minute, longTimeout)); err != nil {
			return err
		}
		if err := st.wait(generous, func() bool { return len(st.of(id, time.Time{})) > 0 }); err != nil {
			return fmt.Errorf("assignment %d has no result: %w", id, err)
		}
		if err := st.unassign(id); err != nil {
			return err
		}
		var err error
		if before == 0 {
			if before, err = p.descriptors(); err != nil {
				return err
			}
		}
	}
	after := 0
	for range 30 { // what is closed may need a moment
		var err error
		if after, err = p.descriptors(); err != nil || after <= before+slack {
			return err
		}
		if err := st.watch(100 * time.Millisecond); err != nil {
			return err
		}
	}
	return fmt.Errorf("%d descriptors are open, %d were after the first assignment", after, before)
}

// endsAfter starts a process for itself and wants it to end by itself when something was done to it.
func endsAfter(ctx context.Context, c Command, do func(*Plugin)) error {
	p, err := c.Start(ctx)
	if err != nil {
		return err
	}
	defer p.Close()
	if _, err := p.Describe(ctx); err != nil {
		return err
	}
	do(p)
	return p.process.endsWithin(stopTimeout)
}
