// Command vipward is the daemon that keeps virtual IP addresses and IPVS services up on a pair of machines, and the command
// line that talks to it. It decides nothing: core/engine wires the daemon, one file here is one command.
package main

import (
	"context"
	"io"
	"os"
)

func main() { os.Exit(execute(os.Args[1:], os.Stdout, os.Stderr)) }

// execute runs one command line and returns the exit code.
func execute(args []string, stdout, stderr io.Writer) int {
	g := &globals{}
	root := newRootCommand(g)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(context.Background())
	tell(stderr, err, g.color(stderr))
	return exitCode(err)
}
