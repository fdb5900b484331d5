package e2e

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of times in /proc/PID/stat: USER_HZ is 100 on every architecture that matters (see proc_pid_stat(5)).
const tick = 10 * time.Millisecond

// cpu is the processor time that processes have used so far, all their threads together.
func cpu(t *T, pids ...int) time.Duration {
	var sum time.Duration
	for _, pid := range pids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		t.Must(err)
		fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
		for _, f := range fields[11:13] { // utime and stime, fields 14 and 15
			n, err := strconv.ParseInt(string(f), 10, 64)
			t.Must(err)
			sum += time.Duration(n) * tick
		}
	}
	return sum
}

// memory is what a process has in memory, in bytes: all of it, and what it has written itself.
func memory(t *T, pid int) (resident, private int64) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	t.Must(err)
	for line := range strings.Lines(string(text)) {
		name, rest, _ := strings.Cut(line, ":")
		value, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
		n, _ := strconv.ParseInt(value, 10, 64)
		switch name {
		case "Rss":
			resident = n << 10
		case "Private_Dirty":
			private = n << 10
		}
	}
	if resident == 0 {
		t.Fatalf("process %d has no memory: %s", pid, text)
	}
	return resident, private
}

// mib is a size for people.
func mib(bytes int64) string { return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20)) }

// percent is the processor time used in a span, in percent of one core.
func percent(used, span time.Duration) string {
	return fmt.Sprintf("%.1f %%", 100*used.Seconds()/span.Seconds())
}
