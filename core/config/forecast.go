package config

import (
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/vipward/vipward/core/node"
	"github.com/vipward/vipward/core/vrrp"
)

// Forecast is what would become of the VIPs of an instance if one thing that it tracks failed on the node that is master while
// all is well.
type Forecast struct {
	// Instance, and the Node on which the Track ("checker local") fails.
	Instance string `json:"instance"`
	Node     string `json:"node"`
	Track    string `json:"track"`
	// Priority is that of the node while all is well, and PeerPriority that of the other one.
	Priority     int `json:"priority"`
	PeerPriority int `json:"peer_priority"`
	// Moves tells whether another node takes over, To which one, and WithinMS after which time at most. DetectMS is what may pass
	// before, until the track counts as down.
	Moves    bool   `json:"moves"`
	To       string `json:"to"`
	WithinMS int64  `json:"within_ms"`
	DetectMS int64  `json:"detect_ms"`
	// Text says all this in a sentence.
	Text string `json:"text"`
}

// election is what decides who is master of an instance, on the two nodes that matter.
type election struct {
	instance string
	// best is master while all is well, and second the next.
	best, second contender
	protocol     vrrp.Config
	iface        string // of the adverts
}

// contender is a node with its priority while all that it tracks is up.
type contender struct {
	name string
	full int
}

// foretell says what the failure of a track on the master does, and what to write instead where the VIP does not move. detect is
// how long it may take until the track counts as down.
func (e election) foretell(t node.Track, detect time.Duration) (f Forecast, advice string) {
	f = e.forecast(t, detect)
	p, q, loss := e.best.full, e.second.full, max(t.Weight, -t.Weight)
	low := max(p-loss, 1)
	head := fmt.Sprintf("%s: if %s %s on %s, the VIP ", e.instance, f.Track, failing(t), e.best.name)
	stays := func(why, advice string) (Forecast, string) {
		f.Text = head + "does not move: " + why
		return f, advice
	}
	const fault = "leave weight out: then it goes to FAULT and hands over."
	switch {
	case !t.Weighted:
	case p == 255:
		return stays("priority 255 owns it and is not lowered by weights", "To let it move, "+fault)
	case !e.protocol.Preempt:
		return stays("no preemption with a weight", "With preempt = false the other node leaves a living master alone, whatever its priority. To let it move, "+fault)
	case p-loss > q:
		return stays(fmt.Sprintf("%d - %d is still above %d", p, loss, q), e.more(p-loss, p-q)+fault)
	case low >= q:
		return stays(fmt.Sprintf("%d - %d is not below %d", p, loss, q), e.more(low, p-q)+fault)
	}
	f.moves(head, e.second.name, e.within(t), "counts as down")
	return f, ""
}

// foretellNumber says what a number in a file that is added to the priority of the master has to be to move the VIP. What a number below
// -253 makes of any instance is FAULT, as of keepalived's track_file.
func (e election) foretellNumber(t node.Track, detect time.Duration) Forecast {
	f, priority := e.forecast(t, detect), uint8(e.second.full)
	limit, within := e.second.full-e.best.full, e.protocol.PreemptDelay+vrrp.MasterDown(e.protocol.Version, priority, e.protocol.Interval)
	if e.best.full == 255 || !e.protocol.Preempt || e.second.full <= 1 {
		limit, within = -253, vrrp.SkewTime(e.protocol.Version, priority, e.protocol.Interval)
	}
	f.moves(fmt.Sprintf("%s: if %s on %s adds less than %d to its priority, the VIP ", e.instance, f.Track, e.best.name, limit), e.second.name, within, "is read")
	return f
}

func (e election) forecast(t node.Track, detect time.Duration) Forecast {
	return Forecast{
		Instance: e.instance, Node: e.best.name, Track: string(t.Kind) + " " + t.Name, DetectMS: detect.Milliseconds(),
		Priority: e.best.full, PeerPriority: e.second.full,
	}
}

// moves completes a forecast with where the VIP goes, and what may pass before.
func (f *Forecast) moves(head, to string, within time.Duration, until string) {
	f.Moves, f.To, f.WithinMS = true, to, within.Milliseconds()
	f.Text = fmt.Sprintf("%smoves to %s within %s", head, f.To, seconds(within))
	if f.DetectMS > 0 {
		f.Text += fmt.Sprintf(", and up to %s until it %s", seconds(time.Duration(f.DetectMS)*time.Millisecond), until)
	}
}

// more is the advice to use a greater weight.
func (e election) more(low, gap int) string {
	return fmt.Sprintf("%s falls from %d to %d, which is not below the %d of %s. Use a weight of more than %d, or ",
		e.best.name, e.best.full, low, e.second.full, e.second.name, gap)
}

// within is the longest that the move takes. A master in FAULT resigns, and the other waits its skew only; one whose own interface
// is down is not heard, and one that is lowered goes on until the other's timer has run out.
func (e election) within(t node.Track) time.Duration {
	priority, c := uint8(e.second.full), e.protocol
	switch {
	case t.Weighted:
		return c.PreemptDelay + vrrp.MasterDown(c.Version, priority, c.Interval)
	case t.Kind == node.TrackInterface && t.Name == e.iface:
		return vrrp.MasterDown(c.Version, priority, c.Interval)
	}
	return vrrp.SkewTime(c.Version, priority, c.Interval)
}

func failing(t node.Track) string {
	if t.Reverse {
		return "passes (reverse)"
	}
	return "fails"
}

// seconds is a duration for people, to a tenth of a second or to two digits.
func seconds(d time.Duration) string {
	if d < time.Second {
		return strings.TrimSuffix(strings.TrimSuffix(fmt.Sprintf("%.2f", d.Seconds()), "0"), ".0") + " s"
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", d.Seconds()), ".0") + " s"
}

// foretell makes the forecasts of all instances, and warns of tracks that move nothing.
func (l *loading) foretell() {
	for _, i := range l.instances {
		best, second := i.ranking()
		if second == "" {
			continue
		}
		e := election{
			instance: i.Name, protocol: i.VRRP, iface: i.Interface,
			best: contender{best, i.full(best)}, second: contender{second, i.full(second)},
		}
		for _, t := range i.shared() {
			if t.IsNumber() {
				l.cfg.Forecasts = append(l.cfg.Forecasts, e.foretellNumber(t, l.detection(t)))
				continue
			}
			f, advice := e.foretell(t, l.detection(t))
			l.cfg.Forecasts = append(l.cfg.Forecasts, f)
			if !f.Moves {
				l.warn(i.placeOf(t), "%s", f.Text).because("%s", advice)
			}
		}
	}
}

// shared are the tracks of the instance with those that it has by its sync group.
func (i *instance) shared() []node.Track {
	if i.group == nil {
		return i.Tracks
	}
	c := node.Config{}
	for _, m := range i.group.members {
		c.Instances = append(c.Instances, m.Instance)
	}
	return c.Shared(i.group.Group)
}

// placeOf is where a track is written: here, in the group, or in another member of it.
func (i *instance) placeOf(t node.Track) hcl.Range {
	find := func(all []node.Track, at []hcl.Range) (hcl.Range, bool) {
		for k := range all {
			if all[k] == t {
				return at[k], true
			}
		}
		return hcl.Range{}, false
	}
	if at, ok := find(i.Tracks, i.trackAt); ok {
		return at
	}
	if i.group != nil {
		if at, ok := find(i.group.Tracks, i.group.trackAt); ok {
			return at
		}
		for _, m := range i.group.members {
			if at, ok := find(m.Tracks, m.trackAt); ok {
				return at
			}
		}
	}
	return i.block.at
}

// detection is the longest that a track may take to count as down: as many runs as it takes, the last up to its timeout.
func (l *loading) detection(t node.Track) time.Duration {
	c, ok := l.checkers[t.Name]
	if t.Kind != node.TrackChecker || !ok {
		return l.slowness[t.Check]
	}
	return time.Duration(c.node.Health.Fall)*c.check.Interval + c.check.Timeout
}

// full is the priority of a node while all that it tracks is as it should be.
func (i *instance) full(name string) int {
	p := i.priorities[name]
	if p == 255 {
		return p
	}
	for _, t := range i.shared() {
		if t.Weighted && !t.IsNumber() {
			p += max(t.Weight, 0)
		}
	}
	return min(p, 254)
}

// ranking is the node that is master while all is well, and the next; empty where it is not known.
func (i *instance) ranking() (best, second string) {
	for _, n := range i.block.nodeNames() {
		if _, ok := i.priorities[n]; !ok {
			return "", ""
		}
		switch p := i.full(n); {
		case best == "" || p > i.full(best):
			best, second = n, best
		case second == "" || p > i.full(second):
			second = n
		}
	}
	return best, second
}
