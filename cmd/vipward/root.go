package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// globals are the flags that every command has.
type globals struct {
	socket  string
	json    bool
	noColor bool
}

// color tells whether to write terminal sequences to f: where it is a terminal, and nobody asked not to (no-color.org).
func (g *globals) color(f any) bool {
	file, ok := f.(*os.File)
	if !ok || g.noColor || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// newRootCommand makes the whole command line.
func newRootCommand(g *globals) *cobra.Command {
	root := &cobra.Command{
		Use:           "vipward",
		Short:         "Virtual IP addresses and IPVS services on a pair of machines",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noSuchCommand,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.PersistentFlags().StringVar(&g.socket, "socket", "/run/vipward/vipward.sock", "unix socket of the daemon")
	root.PersistentFlags().BoolVar(&g.json, "json", false, "write JSON for machines")
	root.PersistentFlags().BoolVar(&g.noColor, "no-color", false, "write no colors")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError(fmt.Errorf("%w; see %s --help", err, c.CommandPath()))
	})
	root.AddCommand(commands(g)...)
	root.SetHelpCommand(newHelpCommand())
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		if c.Name() == "completion" {
			c.Args, c.RunE = noSuchCommand, needsCommand
		}
	}
	checkUsage(root)
	return root
}

// newHelpCommand is `vipward help`, as cobra has it, but for a word that is no command.
func newHelpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Show the help of a command",
		RunE: func(c *cobra.Command, args []string) error {
			about, rest, err := c.Root().Find(args)
			if err == nil && len(rest) > 0 {
				err = noSuchCommand(about, rest)
			}
			if err != nil {
				return usageError(err)
			}
			about.InitDefaultHelpFlag()
			return about.Help()
		},
	}
}

// needsCommand ends a command that only has others below it.
func needsCommand(c *cobra.Command, _ []string) error {
	var names []string
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	return usageError(fmt.Errorf("%s needs one of %s; see %s --help", c.CommandPath(), strings.Join(names, ", "), c.CommandPath()))
}

// commands is the table of commands, one a line.
func commands(g *globals) []*cobra.Command {
	return []*cobra.Command{
		newRunCommand(g),
		newValidateCommand(g),
		newFmtCommand(g),
		newReloadCommand(g),
		newStatusCommand(g),
		newEventsCommand(g),
		newFailoverCommand(g),
		newExplainCommand(g),
		newDrainCommand(g),
		newUndrainCommand(g),
		newFenceCommand(g),
		newMaintenanceCommand(g),
		newWitnessCommand(),
		newResumeCommand(g),
		newRealServerCommand(g),
		newDigestCommand(g),
		newPluginCommand(g),
		newVersionCommand(g),
		newCleanupCommand(g),
		newManCommand(),
	}
}

// noSuchCommand reports a word that is no command, with those that it may have been meant to be.
func noSuchCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	text := fmt.Sprintf("there is no command %q", args[0])
	c.SuggestionsMinimumDistance = 2
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		text += fmt.Sprintf("; did you mean %q?", near[0])
	}
	return errors.New(text)
}

// checkUsage makes wrong arguments of a command, and of those below it, end with the exit code for usage.
func checkUsage(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			err := check(c, args)
			if err == nil {
				return nil
			}
			if text := err.Error(); strings.HasPrefix(text, "accepts ") || strings.HasPrefix(text, "unknown command ") { // cobra's
				err = fmt.Errorf("wrong number of arguments, %d: write %s %s", len(args), c.Parent().CommandPath(), c.Use)
			}
			return usageError(fmt.Errorf("%w; see %s --help", err, c.CommandPath()))
		}
	}
	for _, sub := range c.Commands() {
		checkUsage(sub)
	}
}
