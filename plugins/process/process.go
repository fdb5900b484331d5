// Package process is the checker "process": how many processes of a name run on this node, by /proc (proc(5)). It is not for
// what a process does: a daemon that hangs is still there.
package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"

	"github.com/vipward/vipward/sdk"
)

// Config is the block of the checker.
type Config struct {
	Name      string   `vipward:"name" doc:"Name of the program: that of its file, with or without its folder, or the kernel's of the process."`
	Command   []string `vipward:"command" doc:"How its command line begins: the program, as in name, and its first arguments."`
	Quorum    int      `vipward:"quorum" default:"1" min:"1" max:"100000" doc:"Processes that there must be at least."`
	QuorumMax int      `vipward:"quorum_max" min:"1" max:"100000" doc:"Processes that there may be at most. Default: any number."`
}

// Component is the checker for [sdk.Serve].
func Component() sdk.Component {
	return sdk.Checker("process", check, sdk.Summary("counts the processes of a program on this node"))
}

// Validate reports what the tags cannot.
func (c *Config) Validate() error {
	var errs []error
	switch {
	case c.Name == "" && len(c.Command) == 0:
		errs = append(errs, sdk.PathError(errors.New("say which process: by name, or by command"), "name"))
	case c.Name != "" && len(c.Command) > 0:
		errs = append(errs, sdk.PathError(errors.New("command has the name as its first element: write one of the two"), "command"))
	case c.Name == "" && c.Command[0] == "":
		errs = append(errs, sdk.PathError(errors.New("it is empty"), "command", 0))
	}
	if c.QuorumMax != 0 && c.QuorumMax < c.Quorum {
		errs = append(errs, sdk.PathError(fmt.Errorf("%d is less than the quorum of %d", c.QuorumMax, c.Quorum), "quorum_max"))
	}
	return errors.Join(errs...)
}

// wanted is the command line to look for.
func (c *Config) wanted() []string {
	if c.Name != "" {
		return []string{c.Name}
	}
	return c.Command
}

func check(ctx context.Context, _ sdk.Target, c Config) sdk.Result {
	n, err := count(ctx, os.DirFS("/proc"), c.wanted())
	if err != nil {
		return sdk.Errorf("%v", err)
	}
	return c.judge(n).Value("processes", float64(n))
}

// judge compares the number with what is wanted.
func (c *Config) judge(n int) sdk.Result {
	what := strconv.Quote(c.wanted()[0])
	switch {
	case n == 0:
		return sdk.Failf("there is no process %s", what)
	case n < c.Quorum:
		return sdk.Failf("%d of the process %s, want at least %d", n, what, c.Quorum)
	case c.QuorumMax != 0 && n > c.QuorumMax:
		return sdk.Failf("%d of the process %s, want at most %d", n, what, c.QuorumMax)
	}
	return sdk.Pass()
}

// count is how many living processes have the command line. Where /proc is mounted with hidepid it shows only those of the
// plugin's own user, which would look as if all others had ended.
func count(ctx context.Context, proc fs.FS, wanted []string) (int, error) {
	if _, err := fs.ReadFile(proc, "1/stat"); err != nil {
		return 0, fmt.Errorf(`/proc does not show the processes of other users (mount option hidepid?): write plugin "process" { user = "root" }: %w`, err)
	}
	all, err := fs.ReadDir(proc, ".")
	if err != nil {
		return 0, fmt.Errorf("list /proc: %w", err)
	}
	n := 0
	for _, e := range all {
		if ctx.Err() != nil {
			return 0, fmt.Errorf("read /proc: %w", ctx.Err())
		}
		if _, err := strconv.Atoi(e.Name()); err == nil && matches(proc, e.Name(), wanted) {
			n++
		}
	}
	return n, nil
}
