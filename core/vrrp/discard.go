package vrrp

// Reason is why an advert was discarded. The values are stable: they are labels of metrics.
type Reason string

// The reasons.
const (
	ReasonLength      Reason = "length"
	ReasonVersion     Reason = "version"
	ReasonType        Reason = "type"
	ReasonCount       Reason = "count"
	ReasonChecksum    Reason = "checksum"
	ReasonTTL         Reason = "ttl"
	ReasonVRID        Reason = "vrid"
	ReasonAuthType    Reason = "auth_type"
	ReasonAuth        Reason = "auth"
	ReasonAuthMissing Reason = "auth_missing"
	ReasonAuthKey     Reason = "auth_key"
	ReasonAuthStale   Reason = "auth_stale"
	ReasonAuthReplay  Reason = "auth_replay"
	ReasonInterval    Reason = "interval"
	ReasonSource      Reason = "source"
	ReasonDestination Reason = "destination"
	ReasonAddresses   Reason = "addresses"
)

// Reasons are all of them, for those who show a counter also where nothing was counted.
func Reasons() []Reason {
	return []Reason{
		ReasonLength, ReasonVersion, ReasonType, ReasonCount, ReasonChecksum, ReasonTTL, ReasonVRID, ReasonAuthType, ReasonAuth,
		ReasonAuthMissing, ReasonAuthKey, ReasonAuthStale, ReasonAuthReplay, ReasonInterval, ReasonSource, ReasonDestination, ReasonAddresses,
	}
}

// explain is the reason in the operator's words.
func (r Reason) explain() string {
	switch r {
	case ReasonLength:
		return "its length does not fit the number of addresses"
	case ReasonVersion:
		return "it has another version of the protocol"
	case ReasonType:
		return "it is no ADVERTISEMENT"
	case ReasonCount:
		return "it carries no address"
	case ReasonChecksum:
		return "its checksum is wrong; see the option checksum"
	case ReasonTTL:
		return "its TTL says that it was forwarded by a router; unicast of keepalived over IPv6 has 64, see the option min_ttl"
	case ReasonVRID:
		return "it is of another virtual router"
	case ReasonAuthType:
		return "it has another type of authentication"
	case ReasonAuth:
		return "its password or signature is wrong: the secrets of the two nodes differ, or it is forged"
	case ReasonAuthMissing:
		return "it is not signed; see the option mode of the block authentication"
	case ReasonAuthKey:
		return "it is signed with a key that is not configured here"
	case ReasonAuthStale:
		return "its signature is right and its time is not: one of the two clocks is wrong"
	case ReasonAuthReplay:
		return "it was sent before"
	case ReasonInterval:
		return "it has another advert interval"
	case ReasonSource:
		return "its sender is none of the peers, or has an address that is not for this router"
	case ReasonDestination:
		return "one side uses unicast and the other multicast"
	case ReasonAddresses:
		return "it carries other addresses"
	}
	return string(r)
}

// Discard is the error of a message that is no valid advert.
type Discard struct {
	// Reason is why.
	Reason Reason
}

func (d *Discard) Error() string {
	return "discard advert (" + string(d.Reason) + "): " + d.Reason.explain()
}
