package config

import (
	"time"

	"github.com/vipward/vipward/core/desired"
)

type garp = desired.Garp

// standardGarp is how VIPs are announced where nobody says otherwise.
func standardGarp() garp { return garp{Delay: 5 * time.Second, Repeat: 5, RefreshRepeat: 1} }

// garp takes how VIPs are announced; what the block does not give is inherited.
func (b *block) garp(inherited garp) garp {
	pause := span{most: time.Hour, why: "It is 0s to 1h."}
	const count = "The number of announcements in a burst is 1 to 100."
	return garp{
		Delay:         b.duration("delay", inherited.Delay, pause),
		Repeat:        b.integer("repeat", inherited.Repeat, 1, 100, count),
		Refresh:       b.duration("refresh", inherited.Refresh, span{most: 24 * time.Hour, why: "It is 0s, for never, to 24h."}),
		RefreshRepeat: b.integer("refresh_repeat", inherited.RefreshRepeat, 1, 100, count),
		Interval:      b.duration("interval", inherited.Interval, span{most: 10 * time.Second, why: "The pause between two announcements is 0s to 10s."}),
	}
}
