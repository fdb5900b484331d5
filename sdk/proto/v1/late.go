package pluginv1

import "time"

// LateClasses are the upper bounds of the classes in [Heartbeat].Late; a last class, without a bound, follows them.
func LateClasses() []time.Duration {
	const ms = time.Millisecond
	return []time.Duration{ms, 2 * ms, 5 * ms, 10 * ms, 20 * ms, 50 * ms, 100 * ms, 200 * ms, 500 * ms, time.Second, 2 * time.Second, 5 * time.Second}
}
