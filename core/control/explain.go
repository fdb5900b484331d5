package control

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/vipward/vipward/core/guard"
)

// Explanation is why something is in the state that it is in.
type Explanation struct {
	// Kind is instance or real_server; a VIP is explained by its instance.
	Kind  string `json:"kind"`
	Name  string `json:"name"`
	State string `json:"state"`
	// Reason is why, in one sentence; Row says what the row of the table of evidence is, where there is one.
	Reason string `json:"reason"`
	Row    string `json:"row"`
	// Guard is that of an instance; null for a real server.
	Guard *Guard `json:"guard"`
	// Facts are what else is known.
	Facts []Fact `json:"facts"`
}

// Explain finds an instance, a VIP or a real server by its name, and says why it is in its state: of a real server of several
// services that of the first, and among the facts that of each. A name that there is not is [ErrNotFound].
func Explain(s Status, name string) (Explanation, error) {
	var names []string
	for _, i := range s.Instances {
		names = append(names, i.Name)
		match := i.Name == name
		for _, a := range i.Addresses {
			names = append(names, a.Address.Addr().String())
			match = match || a.Address.String() == name || a.Address.Addr().String() == name
		}
		if match {
			return explainInstance(s, i), nil
		}
	}
	var found *Explanation
	for _, v := range s.Services {
		for _, r := range v.RealServers {
			names = append(names, r.Address.String())
			if r.Address.String() != name && r.Address.Addr().String() != name {
				continue
			}
			if found == nil {
				found = &Explanation{Kind: "real_server", Name: r.Address.String(), State: r.State, Reason: r.Reason}
			}
			found.Facts = append(found.Facts, serverFacts(v, r)...)
		}
	}
	if found != nil {
		return *found, nil
	}
	return Explanation{}, Unknown("instance, VIP or real server", name, slices.Compact(slices.Sorted(slices.Values(names))))
}

// serverFacts are what is known of a real server in one of its services.
func serverFacts(v Service, r RealServer) []Fact {
	service := v.Name + " is down"
	if v.Up {
		service = v.Name + " is up"
	}
	state := r.State
	if r.Stale {
		state += ", stale"
	}
	facts := []Fact{{"service", service}, {"server", r.Address.String() + " " + state}, {"weight", fmt.Sprintf("%d of %d", r.EffectiveWeight, r.Weight)}}
	if v.Error != "" {
		facts = append(facts, Fact{"error", v.Error})
	}
	for _, c := range r.Checks {
		facts = append(facts, Fact{"check " + c.Check, because(c.Result, c.Reason)})
	}
	return facts
}

// because joins what something is with why, where that is known.
func because(what, why string) string {
	if why == "" {
		return what
	}
	return what + ": " + why
}

// vipFact says how the kernel has a VIP.
func vipFact(a Address) string {
	where := a.Address.String() + " on " + a.Interface
	switch {
	case a.Error != "":
		return where + " refused: " + a.Error
	case !a.Held:
		return where + " not held by this node"
	case a.LeaseMS > 0:
		return fmt.Sprintf("%s held, for another %d ms unless renewed", where, a.LeaseMS)
	}
	return where + " held"
}

func explainInstance(s Status, i Instance) Explanation {
	e := Explanation{Kind: "instance", Name: i.Name, State: i.State, Reason: i.Reason, Guard: &i.Guard, Facts: []Fact{}}
	if i.Guard.Decision != "" {
		e.Row = guard.Row(i.Guard.Row).Explain()
	}
	add := func(name, format string, args ...any) {
		e.Facts = append(e.Facts, Fact{name, fmt.Sprintf(format, args...)})
	}
	add("priority", "%d, effective %d", i.Priority, i.EffectivePriority)
	if i.Master.Address != "" {
		add("master", "%s with priority %d", i.Master.Address, i.Master.Priority)
	}
	for _, a := range i.Addresses {
		add("VIP", "%s", vipFact(a))
	}
	for _, t := range i.Tracks {
		state := t.State
		if t.Weight != nil {
			state += fmt.Sprintf(", weight %d", *t.Weight)
		}
		if t.Stale {
			state += ", stale"
		}
		add("track "+t.Name, "%s", because(state, t.Reason))
	}
	for _, p := range s.Peers {
		alive, heard := "silent", fmt.Sprintf("heard %d ms ago", p.HeardMS)
		if p.Alive {
			alive = "alive"
		}
		if p.HeardMS < 0 {
			heard = "never heard"
		}
		add("peer "+p.Name, "%s, %s, fencing %s", alive, heard, p.Fence)
		if p.Drift != "" {
			add("drift "+p.Name, "%s", p.Drift)
		}
	}
	return e
}

func (s *Server) explain(w http.ResponseWriter, r *http.Request) {
	e, err := Explain(s.API.Status(), r.URL.Query().Get("name"))
	if err != nil {
		fail(w, http.StatusNotFound, err)
		return
	}
	answer(w, e)
}
