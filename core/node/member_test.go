package node

import (
	"testing"

	"github.com/vipward/vipward/core/heartbeat"
)

func TestWhichHeartbeatsAreBelieved(t *testing.T) {
	m := member{boot: 2, seq: 10, old: []uint64{1}}
	for _, tt := range []struct {
		name      string
		boot, seq uint64
		proven    bool
		want      bool
	}{
		{"the next one of this run", 2, 11, false, true},
		{"the same one again", 2, 10, true, false},
		{"an older one of this run", 2, 9, true, false},
		{"one of a former run, with an echo", 1, 99, true, false},
		{"the first one of a new run, with an echo", 3, 1, true, true},
		{"the first one of a new run, without", 3, 1, false, false},
	} {
		if got := m.believes(heartbeat.Message{Boot: tt.boot, Seq: tt.seq}, tt.proven); got != tt.want {
			t.Errorf("%s is believed: %v, want %v", tt.name, got, tt.want)
		}
	}
}
