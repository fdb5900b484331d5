package vrrp

import (
	"crypto/subtle"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// cameAt notes when a message came: a router that was late counts a silence from there, and not from when it has read it.
func (r *Router) cameAt(now, at time.Time) {
	switch {
	case at.IsZero() || at.After(now):
		r.came = now
	case at.After(r.came):
		r.came = at
	}
}

// receive checks one message, counts it and lets it act. In INIT and FAULT it only tells who is master.
func (r *Router) receive(now time.Time, h Header, b []byte) {
	a, reason := r.check(r.came, h, b)
	if reason != "" {
		r.discard(now, h, a, reason)
		return
	}
	r.counters.Received++
	if a.Priority == 0 {
		r.counters.PriorityZeroReceived++
	}
	if r.cfg.Checksum == ChecksumAuto && a.Rule != ChecksumAuto {
		r.rule = a.Rule
	}
	r.met = r.met || h.Source != r.cfg.Source
	if r.unsure.addr == h.Source {
		r.unsure = peer{}
	}
	switch r.state {
	case Backup:
		r.compare(now, h, a)
		r.advertInBackup(now, h.Source, a)
	case Master:
		r.compare(now, h, a)
		r.advertInMaster(now, h.Source, a)
	case Hold:
		if r.holdsAgainst(now, a) {
			r.hear(now, h.Source, a.Priority)
			return
		}
		r.becomeBackup(now, "a valid advert of "+h.Source.String())
		r.compare(now, h, a)
		r.advertInBackup(now, h.Source, a)
	case Init, Fault:
		r.hear(now, h.Source, a.Priority)
	}
}

// discard counts a message that is not valid, and tells of it where the router takes part: two routers that discard each
// other's adverts are two masters. The advert is empty as far as it was not read.
func (r *Router) discard(now time.Time, h Header, a Advert, reason Reason) {
	r.counters.Discarded[reason]++
	switch {
	case r.state == Init || r.state == Fault, reason == ReasonVRID:
	case reason == ReasonAuthStale:
		r.stale(now, h.Source, a)
	case reason == ReasonInterval && a.Interval > 0:
		r.note(now, NoteInterval, NoteInterval, "an advert of %s is discarded: it advertises every %s, this router every %s",
			h.Source, a.Interval, r.cfg.Interval)
	case a.Key.ID != 0:
		r.note(now, NoteDiscarded, NoteDiscarded+string(reason), "an advert of %s, signed with key %d, is discarded (%s): %s",
			h.Source, a.Key.ID, reason, reason.explain())
	default:
		r.note(now, NoteDiscarded, NoteDiscarded+string(reason), "an advert of %s is discarded (%s): %s", h.Source, reason, reason.explain())
	}
}

// check is the validation of RFC 9568 section 7.1 and RFC 3768 section 7.1, in the order in which the layers lie. The addresses
// of the advert are overwritten by the next.
func (r *Router) check(now time.Time, h Header, b []byte) (Advert, Reason) {
	if reason := r.checkHeader(h); reason != "" {
		return Advert{}, reason
	}
	if len(b) > 0 && b[0]>>4 != r.cfg.Version {
		return Advert{}, ReasonVersion
	}
	var trailer []byte
	if r.cfg.Auth.enabled() {
		b, trailer = split(h, b)
	}
	a, reason := parse(h, b, trailer, r.cfg.Checksum, r.scratch)
	if reason != "" {
		return Advert{}, reason
	}
	r.scratch = a.Addresses
	if a.VRID != r.cfg.VRID {
		return Advert{}, ReasonVRID
	}
	if reason := r.authenticate(now, h, b, trailer, &a); reason != "" {
		return a, reason
	}
	if a.Version == 2 {
		if reason := r.checkVersion2(a); reason != "" {
			return a, reason
		}
	}
	if r.cfg.StrictAddresses && !r.fitAddresses(a) {
		return Advert{}, ReasonAddresses
	}
	return a, ""
}

// checkHeader accepts only what was sent on the same link, and in unicast operation only from the peers.
func (r *Router) checkHeader(h Header) Reason {
	least := uint8(255)
	unicast := len(r.cfg.Peers) > 0
	if unicast && r.cfg.MinTTL > 0 {
		least = r.cfg.MinTTL
	}
	switch {
	case h.TTL < least:
		return ReasonTTL
	case !h.Source.IsValid() || unicast && !slices.Contains(r.cfg.Peers, h.Source):
		return ReasonSource
	case h.Source.Is6() != r.cfg.IPv6():
		return ReasonSource
	case h.Source.Is6() && !unicast && !h.Source.IsLinkLocalUnicast(): // RFC 9568 section 5.1.2.1
		return ReasonSource
	case h.Destination.IsMulticast() == unicast:
		return ReasonDestination
	}
	return ""
}

// checkVersion2 checks what version 2 demands to be the same on all routers.
func (r *Router) checkVersion2(a Advert) Reason {
	kind, password := r.cfg.auth()
	switch {
	case a.AuthType != kind:
		return ReasonAuthType
	case kind == authPass && subtle.ConstantTimeCompare(a.Auth[:], password[:]) == 0:
		return ReasonAuth
	case a.Interval != r.cfg.Interval:
		return ReasonInterval
	}
	return ""
}

// auth is the authentication type of version 2 with its data.
func (c Config) auth() (kind uint8, data [authLen]byte) {
	if c.Password == "" {
		return authNone, data
	}
	copy(data[:], c.Password)
	return authPass, data
}

// compare tells of what differs between the routers without being a reason to discard.
func (r *Router) compare(now time.Time, h Header, a Advert) {
	if a.Interval != r.cfg.Interval {
		r.note(now, NoteInterval, NoteInterval, "%s advertises every %s, this router every %s", h.Source, a.Interval, r.cfg.Interval)
	}
	if a.Priority == 255 && r.effective == 255 && h.Source != r.cfg.Source {
		r.note(now, NoteOwners, NoteOwners, "%s has priority 255 as well; there can be one owner of the addresses", h.Source)
	}
	if !r.sameAddresses(a.Addresses) {
		r.note(now, NoteAddresses, NoteAddresses, "%s advertises %v, this router %v", h.Source, list(a.Addresses), list(r.cfg.Addresses))
	}
}

// list is the beginning of a list that may be long.
func list(addrs []netip.Addr) string {
	const most = 8
	if len(addrs) <= most {
		return fmt.Sprint(addrs)
	}
	return fmt.Sprintf("%v and %d more", addrs[:most], len(addrs)-most)
}

// fitAddresses is what strict_addresses demands.
func (r *Router) fitAddresses(a Advert) bool {
	if a.Addresses[0].Is6() && !a.Addresses[0].IsLinkLocalUnicast() {
		return false
	}
	return a.Priority == 255 || r.sameAddresses(a.Addresses)
}

// sameAddresses compares as sets; it may sort the list that was received.
func (r *Router) sameAddresses(got []netip.Addr) bool {
	if slices.Equal(got, r.cfg.Addresses) {
		return true
	}
	slices.SortFunc(got, netip.Addr.Compare)
	return slices.Equal(got, r.sorted)
}

// hear notes who is master. A router that does not win the election is believed only where nobody else is master.
func (r *Router) hear(now time.Time, src netip.Addr, priority uint8) {
	known := r.master.priority > 0 && now.Sub(r.master.last) <= r.MasterDown()
	if priority > 0 && (!known || r.master.addr == src) {
		r.master = peer{src, priority, r.came}
	}
}
