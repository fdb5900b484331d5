package guard

import "time"

// Fencing is one block `fencing`: how a node is taken off before, or while, another one takes over from it.
type Fencing struct {
	// Mode says what a takeover waits for; empty for FencingOff.
	Mode FencingMode
	// Delay before a shot, within which the evidence may change. A node that owns less than its silent peer waits 5 s at least.
	Delay time.Duration
	// Levels of fencers, by name: the next one is tried when one has failed. All of a level must confirm.
	Levels [][]string
	// DryRun says what would be done and does not do it. A takeover then waits for nothing.
	DryRun bool
	// AutoRejoin lets the node take part again as soon as it is back, without a word of an operator.
	AutoRejoin bool
}

// FencingMode is how far fencing decides about a takeover.
type FencingMode string

// The modes.
const (
	FencingOff        FencingMode = "off"
	FencingBestEffort FencingMode = "best_effort"
	FencingRequired   FencingMode = "required"
)
