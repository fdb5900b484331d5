package execd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/command"
)

// stopGrace is for the co-process to end when its stdin does.
const stopGrace = 500 * time.Millisecond

// instance is one process of the co-process, from its pipe to its end.
type instance struct {
	process     *coprocess
	read, stdin *os.File // the ends of the pipe that it reads from
	fault       error    // why there is no pipe
	life        context.Context
	kill        context.CancelCauseFunc
	gone        chan struct{} // closed at its end, after err is set
	err         error
	turn        chan struct{} // held by the run that writes

	junkLog, stderrLog limiter // of the one goroutine that reads stdout, and the one that reads stderr
	complained         string  // the last line of stderr

	mu      sync.Mutex
	last    uint64    // the id of the latest question
	heard   uint64    // how many answers came, late ones too
	owes    time.Time // since when it has said nothing though it was asked; zero where it was not
	pending map[uint64]chan sdk.Result
}

// newInstance is an instance that takes questions, which wait in the pipe until it lives.
func newInstance(ctx context.Context, p *coprocess) *instance {
	i := &instance{process: p, gone: make(chan struct{}), turn: make(chan struct{}, 1), pending: make(map[uint64]chan sdk.Result)}
	i.read, i.stdin, i.fault = os.Pipe()
	i.life, i.kill = context.WithCancelCause(context.WithoutCancel(ctx))
	return i
}

// live runs the command to its end and says why it ended. When ctx ends it closes its stdin, and kills it a while later. Then
// all that is asked is answered by an error.
func (i *instance) live(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() {
		i.stdin.Close()
		time.AfterFunc(stopGrace, func() { i.kill(nil) })
	})()
	i.err = i.execute()
	close(i.gone)
	i.stdin.Close()
	i.kill(nil)
	return i.err
}

// execute starts the command and waits for its end, which is an error in any case.
func (i *instance) execute() error {
	defer i.read.Close()
	if i.fault != nil {
		return i.fault
	}
	cmd, err := command.New(i.life, i.process.argv)
	if err != nil {
		return err
	}
	complaints := &lines{take: i.complaint}
	cmd.Dir, cmd.Env = i.process.dir, command.Environment(i.process.env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = i.read, &lines{take: i.heed}, complaints
	err = command.RunGroup(cmd)
	_, _ = complaints.Write([]byte("\n")) // its last words may lack it
	switch {
	case i.life.Err() != nil:
		return context.Cause(i.life)
	case err == nil:
		err = errors.New("exit status 0")
	}
	if i.complained != "" {
		return fmt.Errorf("%w: %s", err, i.complained)
	}
	return err
}

// complaint takes a line of stderr.
func (i *instance) complaint(line []byte, _ bool) {
	i.complained = excerpt(line)
	if ok, left := i.stderrLog.allow(time.Now()); ok {
		i.process.log.Info("the co-process says", "line", i.complained, "unlogged", left)
	}
}
