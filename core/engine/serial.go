package engine

import (
	"context"
	"sync"
)

// serially does what comes on in until ctx ends, what has the same key one after the other and all else at once, and waits for what is
// under way. do has to heed the end of ctx itself.
func serially[T any](ctx context.Context, in <-chan T, key func(T) string, do func(T)) {
	var all sync.WaitGroup
	defer all.Wait()
	busy := map[string]chan struct{}{} // by key: closed when the latest one has ended
	for {
		var x T
		select {
		case <-ctx.Done():
			return
		case x = <-in:
		}
		before, mine := busy[key(x)], make(chan struct{})
		busy[key(x)] = mine
		all.Go(func() {
			defer close(mine)
			if before != nil {
				<-before
			}
			do(x)
		})
	}
}
