// Package execd is the checker "execd": it keeps one co-process per configuration, tells it on stdin as a line of JSON what to
// check, and reads lines of JSON from its stdout as answers. It is for checks in a script language that come too often for a
// process each, and not for programs that answer by their exit status, which are for the checker "exec".
package execd

import (
	"context"
	"errors"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/command"
)

// Config is the block of the checker.
type Config struct {
	Command   []string              `vipward:"command,required" doc:"Program and its arguments. No shell reads it. It runs until its stdin ends."`
	Env       map[string]sdk.Secret `vipward:"env" doc:"Environment of the co-process, besides PATH and LANG. It is kept out of logs."`
	Directory string                `vipward:"directory" default:"/" doc:"Working directory, as a whole path."`

	process *coprocess
}

// Component is the checker for [sdk.Serve].
func Component() sdk.Component {
	return sdk.Checker("execd", check, sdk.Summary("asks a co-process that speaks lines of JSON"))
}

// Validate refuses what can never run, and warns of what does not run on this node now.
func (c *Config) Validate() error {
	return errors.Join(command.Validate("command", c.Command), command.ValidateDirectory("directory", c.Directory))
}

// Open starts the co-process, and keeps it running until Close.
func (c *Config) Open(ctx context.Context) error {
	c.process = &coprocess{
		argv: c.Command, env: append([]string{"LANG=C.UTF-8"}, command.Words(c.Env)...), dir: c.Directory,
		log: sdk.Logger(ctx).With("command", c.Command[0]), ended: make(chan struct{}),
	}
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	c.process.stop, c.process.inst = stop, newInstance(life, c.process)
	go c.process.run(life, c.process.inst)
	return nil
}

// Close ends the co-process by the end of its stdin, or, where it does not heed that for half a second, by force.
func (c *Config) Close() error {
	c.process.stop()
	<-c.process.ended
	return nil
}

// check asks the co-process. Its own troubles, however it has them, are no failures of the target.
func check(ctx context.Context, t sdk.Target, c Config) sdk.Result {
	p := c.process
	var result sdk.Result
	if i, down := p.current(); i != nil {
		result = i.ask(ctx, questionOf(ctx, t))
	} else {
		result = sdk.Errorf("%v", down)
	}
	return result.Value("execd_restarts", float64(p.restarts.Load())).Value("execd_junk_lines", float64(p.junk.Load()))
}
