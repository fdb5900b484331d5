package sim

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// Scenario is everything that a run depends on, as a value that a file can hold.
type Scenario struct {
	// Note says what it is about, for people.
	Note string `json:",omitempty"`
	// Seed of what happens by chance between the faults: delays, what is lost, how late the kernel is.
	Seed uint64
	// Length of the run.
	Length span
	Topology
	// Faults in any order.
	Faults []Fault
}

// Fault is one thing that goes wrong, or that an operator does.
type Fault struct {
	// At is when it begins, For how long it lasts. What has no end of its own ends with the machine's next boot, or never.
	At  span
	For span `json:",omitempty"`
	// Kind is one of those below. What the other fields mean depends on it.
	Kind string
	// Node, Segment and Instance are numbers, -1 for all of them, or for the one that is master.
	Node     int
	Segment  int
	Instance int
	// Size is how much, or which one.
	Size int `json:",omitempty"`
}

// The kinds of faults.
const (
	Kill        = "kill"         // the process of Node dies; it boots again after For
	Crash       = "crash"        // the same at the end of its Size-th action from At on
	Stall       = "stall"        // the process is stopped (SIGSTOP) there, and goes on after For
	Pause       = "pause"        // SIGSTOP of Node, SIGCONT after For
	Suspend     = "suspend"      // the machine of Node sleeps, its monotonic clock stands still; it wakes up after For
	Late        = "late"         // Node wakes up to Size ms too late
	Stop        = "stop"         // Node is asked to end; it boots again after For
	Failover    = "failover"     // Node is asked to hand Instance over; -1: the one that holds it
	Reload      = "reload"       // Node reads the same file again
	Reconfigure = "reconfigure"  // Node reads a file in which Instance has changed in the way of Size, and the old one after For
	FailChecker = "fail-checker" // checker Size of Node fails
	Loss        = "loss"         // Size percent of all packets on Segment are lost
	Burst       = "burst"        // all packets on Segment are lost for Size ms of each second
	Slow        = "slow"         // packets on Segment take up to Size ms longer, and overtake each other
	Duplicate   = "duplicate"    // Size percent of the packets on Segment come twice
	Mute        = "mute"         // nobody hears the adverts of Node on Segment
	Deaf        = "deaf"         // Node hears nobody on Segment
	Cut         = "cut"          // the node of Size does not hear Node on Segment
	Partition   = "partition"    // the nodes whose bits are set in Size are apart from the others on Segment
	Flap        = "flap"         // the same for each second half of a second
	Carrier     = "carrier"      // Node has no carrier on Segment
	Deleted     = "deleted"      // the interface of Node on Segment is deleted, and made again with another index
	Removed     = "removed"      // somebody deletes the VIPs of Instance on Node by hand
	Refused     = "refused"      // the kernel of Node refuses the VIPs of Instance
	Choke       = "choke"        // the kernel of Node sends no advert on Segment, and says so
	Wall        = "wall"         // the wall clock of Node jumps by Size seconds
	Spoof       = "spoof"        // a stranger sends the packet of kind Size for Instance
	Power       = "power"        // the machine of Node is switched off by somebody, and on again
	Fencer      = "fencer"       // the fencer of level Segment of Node does what Size says
	Isolate     = "isolate"      // nothing comes to or from Node on Segment; of Size 1: nothing from it
	Filter      = "filter"       // nobody hears the adverts of Node on Segment; of Size 1: nor does it hear those of others
	Crosslink   = "crosslink"    // no heartbeat of Node gets over the crosslink; of Size 1: nor one to it
	Reference   = "reference"    // the references on Segment are silent; of Size 1 and 2: that one alone
	Stranger    = "stranger"     // a machine that is no node answers for the VIPs of Instance
	Witness     = "witness"      // Node does not reach the witness, -1: nobody; of Size 1: at last it starts again
	Replay      = "replay"       // heartbeats of former runs of Node come again and again
)

func (f Fault) String() string {
	b, err := json.Marshal(f)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// Write puts the scenario into a file, one fault a line.
func (s Scenario) Write(name string) error {
	head := s
	head.Faults = nil
	b, err := json.MarshalIndent(head, "", "  ")
	if err != nil {
		return err
	}
	lines := make([]string, len(s.Faults))
	for k, f := range s.Faults {
		lines[k] = "    " + f.String()
	}
	text := strings.Replace(string(b), `"Faults": null`, "\"Faults\": [\n"+strings.Join(lines, ",\n")+"\n  ]", 1)
	return os.WriteFile(name, []byte(text+"\n"), 0o644)
}

// Read is the scenario in a file.
func Read(name string) (s Scenario, err error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return s, fmt.Errorf("%s: %w", name, err)
	}
	return s, nil
}
