package exec

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/command"
	"github.com/vipward/vipward/sdk/message"
)

// NotifierConfig is the block of the notifier.
type NotifierConfig struct {
	Command []string      `vipward:"command,required" doc:"Program and its first arguments. No shell reads it. The event's arguments follow."`
	Timeout time.Duration `vipward:"timeout" default:"10s" min:"100ms" max:"10m" doc:"After this time the command and what it started are killed."`
	States  bool          `vipward:"states_only" default:"true" doc:"Of instances, groups, services and real servers tell changes of state alone, as keepalived does. false: also what else happens to them, with an empty state and VIPWARD_CODE."`
	MaxAge  time.Duration `vipward:"max_age" default:"5m" min:"0s" doc:"Events older than this are given up: what was true before a restart or a long failure may not be any more. 0s: never."`
}

// Validate refuses what can never run, and warns of what does not run on this node now.
func (c *NotifierConfig) Validate() error { return command.Validate("command", c.Command) }

// notify runs the command once per event, in their order; one that fails does not keep the later ones from theirs. What was
// not found may come, and is tried again where no event has been told of yet; what failed would fail again.
func notify(ctx context.Context, events []sdk.Event, c NotifierConfig) error {
	var failed []error
	if c.States {
		events = slices.DeleteFunc(slices.Clone(events), func(e sdk.Event) bool { return !message.IsKeepalived(e) })
	}
	for i, e := range events {
		if age := time.Since(e.Time); c.MaxAge > 0 && age > c.MaxAge {
			failed = append(failed, fmt.Errorf("event %d: it is %v old, more than %v", e.Seq, age.Round(time.Second), c.MaxAge))
			continue
		}
		err := tell(ctx, c, e)
		switch {
		case err == nil:
		case ctx.Err() != nil, i == 0 && errors.Is(err, fs.ErrNotExist):
			return err
		default:
			failed = append(failed, fmt.Errorf("event %d: %w", e.Seq, err))
		}
	}
	return sdk.Drop(errors.Join(failed...))
}

// tell runs the command for one event and waits for it. The event is on stdin as JSON, in the arguments, and in VIPWARD_*.
func tell(ctx context.Context, c NotifierConfig, e sdk.Event) error {
	stdin, err := json.Marshal(e)
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	cmd, err := command.New(limited, append(c.Command[:len(c.Command):len(c.Command)], arguments(e)...))
	if err != nil {
		return err
	}
	out := new(command.Output)
	cmd.Env = command.Environment(environment(e)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(append(stdin, '\n')), out, out
	err = command.Run(cmd)
	logOutput(ctx, cmd.Path, out, err)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", cmd.Path, ctx.Err())
	case limited.Err() != nil:
		return fmt.Errorf("%s: killed after %v", cmd.Path, c.Timeout)
	case out.LastLine() != "":
		return fmt.Errorf("%s: %w: %s", cmd.Path, err, out.LastLine())
	}
	return fmt.Errorf("%s: %w", cmd.Path, err)
}

// logOutput shows what a command said: at level info when it failed, else at debug.
func logOutput(ctx context.Context, program string, out *command.Output, err error) {
	text := strings.TrimSpace(out.String())
	if text == "" {
		return
	}
	if err != nil {
		sdk.Logger(ctx).Info("output of a command that failed", "command", program, "output", text)
		return
	}
	sdk.Logger(ctx).Debug("output of a command", "command", program, "output", text)
}
