package vrrp

import "time"

// SkewTime is Skew_Time: what a router of this priority waits after a master has resigned, so that the best one comes first.
// Interval is Active_Adver_Interval in version 3 (RFC 9568 section 6.1); version 2 counts in seconds (RFC 3768 section 6.1).
func SkewTime(version, priority uint8, interval time.Duration) time.Duration {
	if version == 2 {
		interval = time.Second
	}
	return (256 - time.Duration(priority)) * interval / 256
}

// MasterDown is Master_Down_Interval, RFC 9568's Active_Down_Interval: the silence after which a router of this priority
// takes the master for dead.
func MasterDown(version, priority uint8, interval time.Duration) time.Duration {
	return 3*interval + SkewTime(version, priority, interval)
}
