// Package health turns the observations of one target into a verdict, by rise and fall, and tells how long a verdict is worth
// something. It does not run checks,
// read a clock or know who is affected. An observation that says "could not check" is never counted as a failure.
package health

import "time"

// Status is a verdict.
type Status string

// The verdicts. Unknown means that nothing has been decided yet.
const (
	Unknown Status = "unknown"
	Up      Status = "up"
	Down    Status = "down"
)

// Outcome is what one run of a check found.
type Outcome uint8

// The outcomes. Error means that the check could not be made: it says nothing about the target.
const (
	Error Outcome = iota
	Pass
	Warn
	Fail
)

// String is the outcome in one word.
func (o Outcome) String() string { return [...]string{"error", "pass", "warn", "fail"}[o&3] }

// Config of one check's verdict.
type Config struct {
	// Rise is the number of passes in a row that bring a target up that is down, at least 1.
	Rise int
	// Fall is the number of failures in a row that bring it down, at least 1.
	Fall int
	// Initial is the verdict before the first result; Unknown where nothing is to happen before it.
	Initial Status
	// OnUnknown is what a check that cannot be made is taken for: Up or Down; Unknown, the default, leaves the verdict as it is.
	OnUnknown Status
	// FreshFor is how long a result is good; see [FreshFor]. 0 for ever.
	FreshFor time.Duration
}

// Observation is the result of one run of a check.
type Observation struct {
	Outcome Outcome
	// Reason says why, in the operator's words; empty for a plain pass.
	Reason string
	// Weight is the weight that the check asks for; negative for none.
	Weight int
	// Took is how long the run took; 0 where nobody knows.
	Took time.Duration
	// Values are figures that the check has measured, by name; nil for none. Nobody changes the map.
	Values map[string]float64
}

// Check is the state of one check. The zero value is not usable: see [New].
type Check struct {
	cfg    Config
	status Status
	judged bool        // a result has decided, not Initial
	streak int         // results in a row against the present status
	last   Observation // the one that explains the verdict
}

// New makes a check that has the verdict cfg.Initial.
func New(cfg Config) *Check {
	return &Check{cfg: normal(cfg), status: normal(cfg).Initial, last: Observation{Weight: -1}}
}

func normal(cfg Config) Config {
	cfg.Rise, cfg.Fall = max(cfg.Rise, 1), max(cfg.Fall, 1)
	if cfg.Initial == "" {
		cfg.Initial = Unknown
	}
	if cfg.OnUnknown == "" {
		cfg.OnUnknown = Unknown
	}
	return cfg
}

// Status is the present verdict.
func (c *Check) Status() Status { return c.status }

// Judged tells whether a result has decided the verdict, rather than the configuration.
func (c *Check) Judged() bool { return c.judged }

// Last is the latest observation that agrees with the verdict, so that its reason explains it: while a target that is down
// passes for the first times, the failure is still why it is down. Before the first verdict it is the latest that is no [Error].
func (c *Check) Last() Observation { return c.last }

// Reconfigure changes rise and fall and keeps the verdict.
func (c *Check) Reconfigure(cfg Config) {
	c.cfg = normal(cfg)
	if !c.judged {
		c.status = c.cfg.Initial
	}
}

// Restore gives the check the verdict that a former run of the daemon came to, as if results had decided it; last explains it.
func (c *Check) Restore(status Status, last Observation) {
	c.status, c.last, c.streak, c.judged = status, last, 0, true
}

// Presume takes the target at once for what [Config.OnUnknown] says, since nothing has been heard of it for too long, and tells
// whether the verdict changed.
func (c *Check) Presume(reason string) bool {
	if c.cfg.OnUnknown == Unknown || c.status == c.cfg.OnUnknown && c.judged {
		return false
	}
	changed := c.status != c.cfg.OnUnknown
	c.status, c.last, c.streak, c.judged = c.cfg.OnUnknown, Observation{Reason: c.presumed(reason), Weight: -1}, 0, true
	return changed
}

func (c *Check) presumed(reason string) string {
	return "taken for " + string(c.cfg.OnUnknown) + " by on_unknown: " + reason
}

// Observe takes one result and tells whether the verdict changed. An [Error] neither counts nor ends a row, unless
// [Config.OnUnknown] says what it counts for. The first pass ever is enough for Up, whatever Rise says: Rise guards a target that has failed, not one that was never seen.
func (c *Check) Observe(o Observation) bool {
	if o.Outcome == Error {
		if c.cfg.OnUnknown == Unknown {
			return false
		}
		o.Outcome, o.Reason = Pass, c.presumed(o.Reason)
		if c.cfg.OnUnknown == Down {
			o.Outcome = Fail
		}
	}
	verdict, need := c.opinion(o)
	if verdict == c.status {
		c.last, c.streak, c.judged = o, 0, true
		return false
	}
	if c.status == Unknown {
		c.last = o
	}
	if c.streak++; c.streak < need {
		return false
	}
	c.status, c.last, c.streak, c.judged = verdict, o, 0, true
	return true
}

// opinion is what a result speaks for, and how many in a row it takes.
func (c *Check) opinion(o Observation) (verdict Status, need int) {
	switch {
	case o.Outcome == Fail:
		return Down, c.cfg.Fall
	case !c.judged:
		return Up, 1
	}
	return Up, c.cfg.Rise
}
