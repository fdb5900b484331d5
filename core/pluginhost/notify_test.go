package pluginhost

import (
	"testing"

	"github.com/vipward/vipward/core/event"
)

// The evidence of a takeover reaches notifiers, clean of what would end the call.
func TestAnEventTravelsWithWhatItSaysForMachines(t *testing.T) {
	got := eventsProto([]event.Event{{Seq: 7, Reason: "a\xffb", Attrs: map[string]string{"peer_view": "lb2: \xff"}}})[0]
	if got.GetSeq() != 7 || got.GetReason() != "a\uFFFDb" || got.GetAttrs()["peer_view"] != "lb2: \uFFFD" || len(got.GetAttrs()) != 1 {
		t.Errorf("the event is %v", got)
	}
}
