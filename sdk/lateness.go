package sdk

import (
	"slices"
	"time"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// lateness counts runs by how late they began, in the classes of the protocol. The zero value is ready.
type lateness struct {
	counts [13]uint64
	sum    time.Duration
}

func (l *lateness) add(d time.Duration) {
	class, _ := slices.BinarySearch(pluginv1.LateClasses(), d) // the first bound that is not below d
	l.counts[class]++
	l.sum += max(d, 0)
}
