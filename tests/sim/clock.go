package sim

import (
	"time"
	"unsafe"
)

// born is the wall clock of every machine when the world begins; up is how long the machines have been up by then.
var born = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

const up = time.Hour

// clock is that of one machine. Its monotonic reading runs a little too fast or too slow; its wall clock may jump.
type clock struct {
	ppm  int64
	wall time.Duration // what the wall clock is ahead of the truth
	// slept is for how long the machine was suspended, which the monotonic clock does not count.
	slept time.Duration
}

// read is what the machine's time.Now gives at an instant of the world.
func (c clock) read(now time.Duration) time.Time {
	awake := now - c.slept
	return instant(up+awake+awake*time.Duration(c.ppm)/1e6, born.Add(now+c.wall))
}

// wait is how long the world goes on until the machine's clock has advanced by d.
func (c clock) wait(d time.Duration) time.Duration {
	return d - d*time.Duration(c.ppm)/1e6
}

// reading has the layout of time.Time, which offers no way to make a reading whose monotonic and wall clocks have parted.
// TestClocksPart shows that it fits.
type reading struct {
	wall uint64
	ext  int64
	loc  *time.Location
}

// instant is a time as time.Now gives it: differences go by mono, the date by wall.
func instant(mono time.Duration, wall time.Time) time.Time {
	const monotonic, since1885 = 1 << 63, 2682288000 // seconds from 1885 to 1970
	r := reading{
		wall: monotonic | uint64(wall.Unix()+since1885)<<30 | uint64(wall.Nanosecond()),
		ext:  int64(mono),
		loc:  time.UTC,
	}
	return *(*time.Time)(unsafe.Pointer(&r))
}
