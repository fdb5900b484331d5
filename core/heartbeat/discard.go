package heartbeat

// Reason is why a datagram is no message. The values are stable: they are labels of metrics.
type Reason string

// The reasons.
const (
	ReasonMagic     Reason = "magic"
	ReasonVersion   Reason = "version"
	ReasonLength    Reason = "length"
	ReasonText      Reason = "text"
	ReasonUnsigned  Reason = "unsigned"
	ReasonSigned    Reason = "signed"
	ReasonSignature Reason = "signature"
)

// Reasons are all of them, for those who show a counter also where nothing was counted.
func Reasons() []Reason {
	return []Reason{ReasonMagic, ReasonVersion, ReasonLength, ReasonText, ReasonUnsigned, ReasonSigned, ReasonSignature}
}

// explain is the reason in the operator's words.
func (r Reason) explain() string {
	switch r {
	case ReasonMagic:
		return "it is none: something else sends to this port"
	case ReasonVersion:
		return "its format is of another release; the members must have releases that understand each other"
	case ReasonLength:
		return "its length does not fit what it says"
	case ReasonText:
		return "a name in it is no readable text"
	case ReasonUnsigned:
		return "it is not signed, and this node has a key; give all members the same key_file"
	case ReasonSigned:
		return "it is signed, and this node has no key; give all members the same key_file"
	case ReasonSignature:
		return "its signature is wrong: the keys of the two nodes differ, or it is forged"
	}
	return string(r)
}

// Discard is the error of a datagram that is no valid message.
type Discard struct {
	// Reason is why.
	Reason Reason
}

func (d *Discard) Error() string {
	return "discard heartbeat (" + string(d.Reason) + "): " + d.Reason.explain()
}
