package engine

import "github.com/vipward/vipward/core/event"

// Something that an applier cannot do is one event when it begins, with the reason behind what it means for the operator, and one
// when it is over.
var (
	unmarked = trouble{
		begin: event.Event{
			Code: "service.unmarked", Severity: event.Critical, Kind: event.Service, Subject: "nftables",
			Reason: "packets to services by firewall mark are not marked, and do not reach them: ",
		},
		over: "service.marked", fine: "packets to services by firewall mark are marked",
	}
	unrefused = trouble{
		begin: event.Event{
			Code: "refusal.failed", Severity: event.Warning, Kind: event.Daemon, Subject: "nftables",
			Reason: "packets to the VIPs of instances with accept = false are not dropped: ",
		},
		over: "refusal.set", fine: "packets to the VIPs of instances with accept = false are dropped",
	}
	unleased = trouble{
		begin: event.Event{
			Code: "lease.slow", Severity: event.Critical, Kind: event.Daemon, Subject: "nftables",
			Reason: "fast leases cannot be had, and those of the addresses count whole seconds: a peer's takeover waits for them; load nf_tables, or write lease = \"auto\": ",
		},
		over: "lease.fast", fine: "fast leases can be had again",
	}
	unset = trouble{
		begin: event.Event{Code: "sysctl.failed", Severity: event.Warning, Kind: event.Service, Subject: "sysctl"},
		over:  "sysctl.set", fine: "every sysctl that is asked for is set",
	}
)

type trouble struct {
	begin      event.Event
	over, fine string // the code and the words when it is over
}

// told is what an applier calls with a reason, or with an empty one when all is well again.
func (e *engine) told(t trouble) func(reason string) {
	return func(reason string) {
		v := t.begin
		v.Reason += reason
		if reason == "" {
			v.Code, v.Severity, v.Reason = t.over, event.Info, t.fine
		}
		e.emit(v)
	}
}
