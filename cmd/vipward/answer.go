package main

import (
	"context"
	"errors"
	"net/http"
	"os"

	"github.com/spf13/cobra"
)

// clientError gives an error of the client its exit code. What the daemon refused is shown as it was asked for: the
// diagnostics of a configuration on stderr, or with --json the daemon's own answer on stdout.
func clientError(c *cobra.Command, g *globals, err error) error {
	if r, ok := errors.AsType[*refusal](err); ok {
		return refused(c, g, r)
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		return &exitError{exitTimedOut, err}
	}
	return err // exitCode knows the daemon that is out of reach
}

func refused(c *cobra.Command, g *globals, r *refusal) error {
	done := &exitError{code: refusalCode(r.status), err: r}
	diagnostics := r.failure.Diagnostics
	if len(diagnostics) > 0 {
		done.err = nil // they say it all
	}
	var err error
	if stderr := c.ErrOrStderr(); g.json {
		_, err = c.OutOrStdout().Write(r.body)
	} else {
		err = diagnostics.WriteText(stderr, g.color(stderr))
	}
	if err != nil {
		return err
	}
	return done
}

// refusalCode is the exit code that stands for an HTTP status of the daemon.
func refusalCode(status int) int {
	switch status {
	case http.StatusUnprocessableEntity:
		return exitInvalid
	case http.StatusConflict:
		return exitRefused
	case http.StatusGatewayTimeout:
		return exitTimedOut
	}
	return exitFailed
}
