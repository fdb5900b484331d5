package guard

// OnWitnessLoss is what a master does whose grant ends because the witness does not answer.
type OnWitnessLoss string

// What it does. A takeover never waits for a witness that does not answer, unless fencing is required.
const (
	// WitnessFailsafe goes on: the witness is a help, not a need. While it is away, two owners are possible where the peer cannot be
	// heard either.
	WitnessFailsafe OnWitnessLoss = "failsafe"
	// WitnessRelease lets go before the grant ends, for another node may get it.
	WitnessRelease OnWitnessLoss = "release"
)
