package pluginhost

import (
	"maps"
	"math"
	"slices"
)

// Bounds on the figures of one result, which become metrics.
const (
	maxValues    = 16
	maxValueName = 64 // bytes
)

// figures are those values of a result that have a name fit for a metric's label and are numbers: the first 16 by name. It counts
// the others.
func figures(values map[string]float64) (kept map[string]float64, refused int) {
	if len(values) == 0 {
		return nil, 0
	}
	bad := func(name string, v float64) bool { return !figureName(name) || math.IsNaN(v) || math.IsInf(v, 0) }
	maps.DeleteFunc(values, func(name string, v float64) bool {
		if bad(name, v) {
			refused++
			return true
		}
		return false
	})
	if more := len(values) - maxValues; more > 0 {
		refused += more
		for _, name := range slices.Sorted(maps.Keys(values))[maxValues:] {
			delete(values, name)
		}
	}
	return values, refused
}

// figureName tells whether a name consists of lower-case letters, digits and underscores, and begins with a letter.
func figureName(name string) bool {
	if name == "" || len(name) > maxValueName || name[0] < 'a' || name[0] > 'z' {
		return false
	}
	for _, c := range []byte(name) {
		if c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}
