package inbound

import (
	"encoding/binary"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// stamp is the control message of a time stamp.
func stamp(at time.Time) []byte {
	oob := make([]byte, unix.CmsgSpace(16))
	binary.NativeEndian.PutUint64(oob, uint64(unix.CmsgLen(16)))
	binary.NativeEndian.PutUint32(oob[8:], unix.SOL_SOCKET)
	binary.NativeEndian.PutUint32(oob[12:], unix.SCM_TIMESTAMPNS)
	binary.NativeEndian.PutUint64(oob[16:], uint64(at.Unix()))
	binary.NativeEndian.PutUint64(oob[24:], uint64(at.Nanosecond()))
	return oob
}

// A time stamp counts, but for one that says more than can be, since the wall clock was set meanwhile.
func TestArrivalIsTheTimeStampWhereThatCanBe(t *testing.T) {
	now := time.Now()
	for _, tt := range []struct {
		name             string
		age, empty, want time.Duration
	}{
		{"read late", 30 * time.Millisecond, time.Second, 30 * time.Millisecond},
		{"before the socket was empty", time.Second, 30 * time.Millisecond, 30 * time.Millisecond},
		{"of the future", -time.Second, time.Second, 0},
		{"too old", time.Hour, 2 * time.Hour, 0},
	} {
		if got := now.Sub(Arrival(now, stamp(now.Add(-tt.age)), now.Add(-tt.empty))); got != tt.want {
			t.Errorf("%s: it came %v before it was read, want %v", tt.name, got, tt.want)
		}
	}
	if got := Arrival(now, nil, time.Time{}); !got.Equal(now) {
		t.Errorf("without a time stamp it came at %v, want %v", got, now)
	}
}
