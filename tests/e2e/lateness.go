package e2e

import (
	"bufio"
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// lateness counts the checks that began within a time after they were due, by that time: the buckets of a histogram of Prometheus.
type lateness map[float64]float64

// lateness reads that of a plugin from the daemon's metrics.
func (d *director) lateness(plugin string) lateness {
	text, err := d.api.metrics()
	d.lab.Must(err)
	found := lateness{}
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		rest, ok := strings.CutPrefix(lines.Text(), fmt.Sprintf("vipward_plugin_check_late_seconds_bucket{plugin=%q,le=\"", plugin))
		if !ok {
			continue
		}
		bound, count, _ := strings.Cut(rest, `"} `)
		b, err := strconv.ParseFloat(bound, 64)
		d.lab.Must(err)
		n, err := strconv.ParseFloat(count, 64)
		d.lab.Must(err)
		found[b] = n
	}
	if len(found) == 0 {
		d.lab.Fatalf("the metrics of %s have no lateness of the plugin %s", d.node.Name, plugin)
	}
	return found
}

// metrics is the exposition of the daemon's metrics.
func (a api) metrics() (string, error) {
	text, err := a.Get("/metrics")
	return string(text), err
}

// since is what has been counted after an earlier reading.
func (l lateness) since(before lateness) lateness {
	grown := lateness{}
	for b, n := range l {
		grown[b] = n - before[b]
	}
	return grown
}

// percentile says within which time so many percent of the checks began.
func (l lateness) percentile(percent float64) string {
	type bucket struct{ bound, count float64 }
	var all []bucket
	for b, n := range l {
		all = append(all, bucket{b, n})
	}
	slices.SortFunc(all, func(a, b bucket) int { return cmp.Compare(a.bound, b.bound) })
	total := all[len(all)-1].count
	for _, b := range all[:len(all)-1] {
		if b.count >= total*percent/100 {
			return fmt.Sprintf("≤ %v", time.Duration(b.bound*float64(time.Second)))
		}
	}
	return fmt.Sprintf("> %v", time.Duration(all[len(all)-2].bound*float64(time.Second)))
}
