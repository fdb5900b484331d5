// Package vrrp holds the wire format of VRRP versions 2 (RFC 3768) and 3 (RFC 9568) and the state machine of one virtual router.
//
// [Parse] and [Advert.Append] translate between bytes and [Advert]. A [Router] takes one [Input] at a time and says in an
// [Output] what follows from it. It is not for I/O: it opens no socket, reads no clock, installs no address and announces
// nothing; core/node owns the routers and core/engine carries out what they ask for.
//
// The names are those of keepalived and RFC 3768: MASTER is what RFC 9568 calls Active.
package vrrp
