// Package scenario plays stories with their assertions in the laboratory: it gives each a directory, notes what failed and what
// was measured, tidies up after it, and plays once more what has failed. It is the testing package of what is too large for
// go test; it is not for unit tests.
package scenario

import "sync"

// Scenario is one story with its assertions.
type Scenario struct {
	// Name is short and unique.
	Name string
	// Run plays it.
	Run func(*T)
}

// Run plays scenarios, so many at a time, and tells of each result as it comes. Bin is the directory of the binaries.
func Run(list []Scenario, bin string, parallel int, tell func(Result)) {
	queue := make(chan Scenario)
	var players sync.WaitGroup
	var mu sync.Mutex
	for range parallel {
		players.Go(func() {
			for s := range queue {
				r := Play(s, bin)
				mu.Lock()
				tell(r)
				mu.Unlock()
			}
		})
	}
	for _, s := range list {
		queue <- s
	}
	close(queue)
	players.Wait()
}
