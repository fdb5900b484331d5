package vrrp

import (
	"encoding/json"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"
)

// epoch is the instant at which the tests begin.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// transition is one event applied to one state, with what must follow to the nanosecond.
type transition struct {
	Name, State, Note string
	Config            struct {
		Version  uint8      `json:"version"`
		Priority uint8      `json:"priority"`
		Centi    int        `json:"adver_int_cs"`
		Preempt  bool       `json:"preempt"`
		Source   netip.Addr `json:"primary_ip"`
		Learned  int        `json:"learned_cs"`
		Delay    int        `json:"preempt_delay_s"`
	}
	Event struct {
		Type     string
		Priority uint8
		Src      netip.Addr
		Centi    int           `json:"adver_int_cs"`
		Since    time.Duration `json:"since_last_advert_ns"`
	}
	Next    string `json:"next_state"`
	Learned int    `json:"active_adver_interval_cs"` // 0 where the case does not say
	Actions []string
	Timers  map[string]time.Duration `json:"timers_ns"`
}

// differs are the cases in which this router does something else than the case says, and why.
var differs = map[string]struct {
	down    time.Duration
	actions []string
	why     string
}{
	"backup-higher":              {down: 902343750, why: "10 cs is learned as 25 cs, a quarter of the own interval"},
	"backup-lower-nopreempt":     {down: 902343750, why: "20 cs is learned as 25 cs, a quarter of the own interval"},
	"backup-interval-learn-4095": {down: 14437500000, why: "4095 cs is learned as 400 cs, four times the own interval"},
	"active-lower-5798":          {actions: []string{"send_advert"}, why: "RFC 9568 answers a losing advert, RFC 5798 does not"},
}

func TestEveryTransitionOfTheStateMachine(t *testing.T) {
	b, err := os.ReadFile("testdata/fsm.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Cases []transition }
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Cases) < 30 {
		t.Fatalf("%d cases, want all", len(file.Cases))
	}
	for _, c := range file.Cases {
		t.Run(c.Name, func(t *testing.T) {
			if d, ok := differs[c.Name]; ok {
				if d.down != 0 {
					c.Learned = 0
					c.Timers["active_down"] = d.down
				}
				c.Actions = append(c.Actions, d.actions...)
				t.Log("differs: " + d.why)
			}
			c.run(t)
		})
	}
}

func (c transition) run(t *testing.T) {
	r := c.router()
	now, in := c.event(r)
	held, deadline := r.State() == Master, r.Deadline()
	out := r.Step(now, in)
	states := map[string]State{"Initialize": Init, "Backup": Backup, "Active": Master}
	if r.State() != states[c.Next] {
		t.Errorf("state %s, want %s", r.State(), c.Next)
	}
	if got, want := actions(r, out, held), wanted(c.Actions); !slices.Equal(got, want) {
		t.Errorf("actions %q, want %q", got, want)
	}
	want, armed := c.Timers["active_down"]
	if w, ok := c.Timers["adver"]; ok {
		want, armed = w, true
	}
	switch {
	case r.State() == Init:
		if !r.Deadline().IsZero() {
			t.Errorf("deadline %v in INIT", r.Deadline())
		}
	case armed && r.deadline.Sub(now) != want:
		t.Errorf("timer %d ns, want %d ns", r.deadline.Sub(now), want)
	case !armed && !r.Deadline().Equal(deadline):
		t.Errorf("timer was moved by %v, want untouched", r.Deadline().Sub(deadline))
	}
}

// router is one in the state of the case.
func (c transition) router() *Router {
	cfg := Config{
		VRID: 51, Version: c.Config.Version, Priority: c.Config.Priority, Interval: time.Duration(c.Config.Centi) * centi,
		Preempt: c.Config.Preempt, PreemptDelay: time.Duration(c.Config.Delay) * time.Second,
		Source: c.Config.Source, Addresses: vips,
	}
	r := NewRouter(cfg)
	switch {
	case c.State == "Active":
		r.Step(epoch, Start{Adopt: true})
	case c.State == "Backup":
		r.Step(epoch, Start{})
		if cfg.Priority == 255 { // an owner is in BACKUP only after it lost to another
			r.Step(epoch, heard(cfg, "192.0.2.77", 255, cfg.Interval))
		}
		if c.Config.Learned > 0 {
			r.Step(epoch, heard(cfg, "192.0.2.77", 200, time.Duration(c.Config.Learned)*centi))
		}
	}
	return r
}

// event is the input of the case, with its instant.
func (c transition) event(r *Router) (time.Time, Input) {
	now := epoch.Add(500 * time.Millisecond)
	switch c.Event.Type {
	case "startup":
		return now, Start{}
	case "shutdown":
		return now, Stop{}
	case "active_down_expired", "adver_expired":
		return r.Deadline(), Timeout{}
	case "wakeup_late":
		return epoch.Add(c.Event.Since), Timeout{}
	case "advert":
		return now, heard(r.Config(), c.Event.Src.String(), c.Event.Priority, time.Duration(c.Event.Centi)*centi)
	}
	panic("unknown event " + c.Event.Type)
}

var vips = []netip.Addr{netip.MustParseAddr("192.0.2.100")}

// heard is an advert as the peers of cfg send it.
func heard(cfg Config, from string, priority uint8, interval time.Duration) Received {
	src := netip.MustParseAddr(from)
	a := Advert{Version: cfg.Version, VRID: cfg.VRID, Priority: priority, Interval: interval, Addresses: cfg.Addresses}
	dst := group(src)
	return Received{Header: Header{src, dst, 255}, Payload: a.Append(nil, src, dst)}
}

// wanted leaves out the actions that are no output: a cancelled timer is seen in the deadline.
func wanted(actions []string) []string {
	w := slices.DeleteFunc(slices.Clone(actions), func(a string) bool {
		return a == "cancel_adver" || a == "cancel_active_down" || a == "start_preempt_delay"
	})
	slices.Sort(w)
	return w
}

// actions are what a step did, in the words of the cases.
func actions(r *Router, out Output, held bool) (got []string) {
	for _, a := range out.Adverts {
		if a.Priority == 0 {
			got = append(got, "send_advert_prio0")
		} else {
			got = append(got, "send_advert")
		}
	}
	if out.Announce {
		got = append(got, "announce_all")
	}
	if held && r.State() != Master { // a loser does so a moment later: see lingerTime
		got = append(got, "remove_vips")
	}
	words := map[string]string{NoteSource: "log_duplicate_ip", NoteOwners: "log_two_owners", NoteStalled: "log_stall"}
	for _, n := range out.Notes {
		if w := words[n.Code]; w != "" {
			got = append(got, w)
		}
	}
	if r.Counters().Discarded[ReasonInterval] > 0 {
		w := "drop_interval_zero"
		if r.Config().Version == 2 {
			w = "drop_interval_mismatch"
		}
		got = append(got, w)
	}
	slices.Sort(got)
	return got
}
