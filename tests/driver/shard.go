package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/vipward/vipward/tests/e2e"
	"github.com/vipward/vipward/tests/lab/guest"
	"github.com/vipward/vipward/tests/lab/sandbox"
	"github.com/vipward/vipward/tests/lab/scenario"
)

// shardTimeout ends a shard that hangs.
const shardTimeout = 6 * time.Minute

// endGrace is how long a shard may take to end after its last result. A guest now and then does not come to its end; what
// was to be learned from it is known then.
const endGrace = 30 * time.Second

// shard is a group of scenarios that one process plays, here or in a guest.
type shard struct {
	name      string
	inGuest   bool
	cpu       int
	parallel  int
	scenarios []e2e.Scenario
}

// divide puts what needs IPVS into guests, one on each processor, where the host's kernel lacks it.
func divide(chosen []e2e.Scenario, where string) ([]shard, error) {
	host := shard{name: "host", cpu: -1, parallel: 6}
	guests := make([]shard, min(runtime.NumCPU(), 2))
	next, ipvs := 0, where == "host" || where == "auto" && hostHasIPVS()
	for _, s := range chosen {
		if where != "guest" && (!s.IPVS || ipvs) {
			host.scenarios = append(host.scenarios, s)
			continue
		}
		k := next % (2 * len(guests))
		if k >= len(guests) { // to and fro, so that not one of them always gets the longer one of two
			k = 2*len(guests) - 1 - k
		}
		g := &guests[k]
		g.name, g.inGuest, g.cpu, g.parallel = fmt.Sprintf("guest%d", k), true, k, 1
		g.scenarios = append(g.scenarios, s)
		next++
	}
	var shards []shard
	for _, s := range append(guests, host) {
		if len(s.scenarios) > 0 {
			shards = append(shards, s)
		}
	}
	if next > 0 {
		return shards, guest.Available()
	}
	return shards, nil
}

// run plays the scenarios of a shard in a process of its own, which takes everything with it when it ends.
func (s shard) run(ctx context.Context, bin string, tell func(scenario.Result)) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	var names []string
	for _, sc := range s.scenarios {
		names = append(names, sc.Name)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	left := len(names)
	var reading sync.WaitGroup
	reading.Go(func() {
		readResults(r, s.name, func(result scenario.Result) {
			tell(result)
			if left--; left == 0 {
				time.AfterFunc(endGrace, cancel)
			}
		})
	})
	args := []string{self, "shard", "-bin", bin, "-parallel", fmt.Sprint(s.parallel), strings.Join(names, ",")}
	err = s.start(ctx, args, w)
	w.Close()
	reading.Wait()
	if left == 0 && errors.Is(err, context.Canceled) && ctx.Err() != nil {
		fmt.Printf("%s: did not end within %s after its last scenario; it was ended\n", s.name, endGrace)
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	return nil
}

func (s shard) start(ctx context.Context, args []string, out *os.File) error {
	if s.inGuest {
		_, err := guest.Run(ctx, guest.Config{Args: args, CPU: s.cpu, Timeout: shardTimeout, Stdout: out, Stderr: os.Stderr})
		return err
	}
	tmp, err := os.MkdirTemp("", "vw-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)                      // also what a shard that was killed has left
	if err := os.Chmod(tmp, 0o755); err != nil { // users of plugins pass through to their sockets
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, shardTimeout)
	defer cancel()
	_, err = sandbox.Run(ctx, sandbox.Spec{Args: args, Env: []string{"TMPDIR=" + tmp}, CPU: s.cpu, Stdout: out, Stderr: os.Stderr})
	return err
}

// readResults reads one JSON object a line; anything else is passed on to the reader.
func readResults(r *os.File, shard string, tell func(scenario.Result)) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var result scenario.Result
		if err := json.Unmarshal(lines.Bytes(), &result); err != nil {
			fmt.Printf("%s: %s\n", shard, lines.Text())
			continue
		}
		tell(result)
	}
}
