package exec

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/command"
)

// CheckerConfig is the block of the checker.
type CheckerConfig struct {
	Command   []string              `vipward:"command,required" doc:"Program and its arguments. No shell reads it. {address}, {port} and {name} in an argument stand for the target's."`
	Env       map[string]sdk.Secret `vipward:"env" doc:"Environment of the command, besides PATH, LANG and VIPWARD_TARGET_*. It is kept out of logs."`
	Directory string                `vipward:"directory" default:"/" doc:"Working directory, as a whole path."`
	User      string                `vipward:"user" doc:"User that the command runs as, with its groups; the plugin has to run as root for it. Default: the plugin's own."`
	Format    string                `vipward:"format" default:"monitoring" one_of:"monitoring,misc" doc:"What the exit status means: as of a monitoring plugin, or of keepalived's MISC_CHECK."`
	Dynamic   bool                  `vipward:"dynamic" doc:"With format misc: a status of 2 to 255 is a pass that asks for the weight of 0 to 253."`
}

// Validate refuses what can never run, and warns of what does not run on this node now.
func (c *CheckerConfig) Validate() error {
	var dynamic error
	if c.Dynamic && c.Format != "misc" {
		dynamic = errors.New(`dynamic needs format = "misc"`)
	}
	return errors.Join(
		command.Validate("command", c.Command), command.ValidateDirectory("directory", c.Directory), sdk.PathError(dynamic, "dynamic"),
		validateUser(c.User),
	)
}

// run is what came of a command: its exit status, or why it has none.
type run struct {
	status int   // -1 without one
	err    error // how it ended, for the reason; nil for status 0
	stdout command.Output
	stderr command.Output
}

// check runs the command and reads what its end means. One that cannot be started says nothing about the target; one that does
// not end by the deadline is taken for a target that does not answer.
func check(ctx context.Context, t sdk.Target, c CheckerConfig) sdk.Result {
	argv, err := fill(c.Command, t)
	if err != nil {
		return sdk.Errorf("%v", err)
	}
	if _, err := os.Stat(c.Directory); err != nil { // the kernel's word for it would name the program
		return sdk.Errorf("directory: %v", err)
	}
	cmd, err := command.New(ctx, argv)
	if err != nil {
		return sdk.Errorf("%v", err)
	}
	var r run
	if cmd.SysProcAttr.Credential, err = credential(c.User); err != nil {
		return sdk.Errorf("%v", err)
	}
	cmd.Dir, cmd.Env = c.Directory, command.Environment(c.environment(t)...)
	cmd.Stdout, cmd.Stderr = &r.stdout, &r.stderr
	timeout := remaining(ctx)
	r.err = command.RunGroup(cmd)
	logOutput(ctx, cmd.Path, &r.stderr, r.err)
	switch {
	case cmd.ProcessState == nil:
		return sdk.Errorf("%v", r.err)
	case r.err == nil:
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return sdk.Failf("timed out after %v", timeout)
	case ctx.Err() != nil:
		return sdk.Errorf("%v", ctx.Err())
	}
	r.status = cmd.ProcessState.ExitCode()
	if c.Format == "misc" {
		return misc(&r, c.Dynamic)
	}
	return monitoring(&r)
}

// remaining is the time until the deadline of a run that has just begun: its timeout, but for what the start took.
func remaining(ctx context.Context) time.Duration {
	deadline, _ := ctx.Deadline()
	return time.Until(deadline).Round(10 * time.Millisecond)
}
