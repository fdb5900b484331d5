package exec

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/command"
	"github.com/vipward/vipward/sdk/power"
)

// FencerConfig is the block of the fencer.
type FencerConfig struct {
	Off       []string              `vipward:"off,required" doc:"Program and its arguments that take the power away. No shell reads it. {node} in an argument stands for the node's name."`
	On        []string              `vipward:"on" doc:"Gives it back. Without it nothing can be switched on."`
	Status    []string              `vipward:"status,required" doc:"Asks how it is, and changes nothing: exit status 0 for on, 2 for off, anything else for unknown."`
	Env       map[string]sdk.Secret `vipward:"env" doc:"Environment of the commands, besides PATH, VIPWARD_NODE and VIPWARD_ACTION. It is kept out of logs."`
	Directory string                `vipward:"directory" default:"/" doc:"Working directory, as a whole path."`
	Action    string                `vipward:"action" default:"off" one_of:"off,reboot" doc:"With reboot, on is called once the node was off."`
	Poll      time.Duration         `vipward:"poll" default:"1s" min:"10ms" max:"1m" doc:"Between two calls of status while the node is not off yet."`
}

// Validate refuses what can never run, and warns of what does not run on this node now.
func (c *FencerConfig) Validate() error {
	faults := []error{
		command.Validate("off", c.Off), command.Validate("status", c.Status), command.ValidateDirectory("directory", c.Directory),
	}
	if c.On != nil {
		faults = append(faults, command.Validate("on", c.On))
	}
	if c.Action == "reboot" && c.On == nil {
		faults = append(faults, sdk.PathError(errors.New(`action = "reboot" needs the command on`), "action"))
	}
	return errors.Join(faults...)
}

// openSwitch is the operator's commands as a power switch.
func openSwitch(_ context.Context, t sdk.FenceTarget, c FencerConfig) (*power.Device, error) {
	run := func(ctx context.Context, action string, argv []string) (status int, out *command.Output, err error) {
		return c.run(ctx, t.Node, action, argv)
	}
	return &power.Device{
		Name: t.Node, Poll: c.Poll, Reboot: c.Action == "reboot",
		Read: func(ctx context.Context) (power.State, error) {
			status, out, err := run(ctx, "status", c.Status)
			switch {
			case err == nil:
				return power.On, nil
			case status == 2:
				return power.Off, nil
			}
			return "", said("status", err, out)
		},
		Switch: func(ctx context.Context, to power.State) error {
			argv := c.Off
			if to == power.On {
				argv = c.On
			}
			if argv == nil {
				return power.Refused(errors.New("there is no command on"))
			}
			_, out, err := run(ctx, string(to), argv)
			return said(string(to), err, out)
		},
		Ready: func(_ context.Context, to power.State) error {
			argv := c.Off
			if to == power.On {
				argv = c.On
			}
			if len(argv) == 0 {
				return fmt.Errorf("there is no command %s", to)
			}
			_, err := command.Find(argv[0])
			return err
		},
	}, nil
}

// run runs one command to its end. The exit status is -1 where it has none.
func (c FencerConfig) run(ctx context.Context, node, action string, argv []string) (status int, out *command.Output, err error) {
	filled := make([]string, len(argv))
	for i, a := range argv {
		filled[i] = strings.ReplaceAll(a, "{node}", node)
	}
	out = new(command.Output)
	cmd, err := command.New(ctx, filled)
	if err != nil {
		return -1, out, err
	}
	words := append(command.Words(c.Env), "VIPWARD_NODE="+node, "VIPWARD_ACTION="+action)
	cmd.Dir, cmd.Env = c.Directory, command.Environment(words...)
	cmd.Stdout, cmd.Stderr = out, out
	err = command.RunGroup(cmd)
	if cmd.ProcessState == nil {
		return -1, out, err
	}
	if action == "status" {
		logOutput(ctx, cmd.Path, out, nil) // a status of 2 is an answer
	} else {
		logOutput(ctx, cmd.Path, out, err)
	}
	if err != nil && ctx.Err() != nil {
		return -1, out, fmt.Errorf("killed at the deadline: %w", ctx.Err())
	}
	return cmd.ProcessState.ExitCode(), out, err
}

// said is the error of a command with what it said last. A nil error stays nil.
func said(what string, err error, out *command.Output) error {
	switch {
	case err == nil:
		return nil
	case out.LastLine() != "":
		return fmt.Errorf("%s: %w: %s", what, err, out.LastLine())
	}
	return fmt.Errorf("%s: %w", what, err)
}
