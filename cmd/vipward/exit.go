package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/vipward/vipward/core/config"
)

// The exit codes of every command.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInvalid     = 3 // the configuration
	exitUnreachable = 4 // the daemon
	exitRefused     = 5 // for safety; a flag overrides
	exitTimedOut    = 6
)

// exitError ends the program with a code. Without err, all has been said already.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// exitCode is what the program ends with after an error of a command.
func exitCode(err error) int {
	if err == nil {
		return exitDone
	}
	if e, ok := errors.AsType[*exitError](err); ok {
		return e.code
	}
	if _, ok := errors.AsType[*unreachable](err); ok {
		return exitUnreachable
	}
	return exitFailed
}

func usageError(err error) error { return &exitError{exitUsage, err} }

// invalid ends a command that has said what is wrong with the configuration.
func invalid() error { return &exitError{code: exitInvalid} }

// invalidConfig ends a command for which the configuration is wrong.
func invalidConfig(d config.Diagnostics) error { return &exitError{exitInvalid, &diagnosis{d}} }

// diagnosis is an error that is told as diagnostics.
type diagnosis struct{ config.Diagnostics }

func (d *diagnosis) Error() string { return fmt.Sprint(d.Err()) }

// tell writes what is still to be said about the error of a command.
func tell(w io.Writer, err error, color bool) {
	if d, ok := errors.AsType[*diagnosis](err); ok {
		_ = d.WriteText(w, color) // there is nowhere else to say that this failed
		return
	}
	if err != nil && err.Error() != "" {
		_, _ = fmt.Fprintf(w, "vipward: %v\n", err)
	}
}
