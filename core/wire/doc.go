// Package wire sends and receives VRRP messages over raw sockets, one for each interface and family (RFC 9568 section 5.1).
//
// A [Wire] keeps the sockets that it was last told to keep, gives every whole IP packet of protocol 112 to one function, and
// sends what it is given. It is not for judging messages: what has the wrong TTL, sender or checksum is delivered, so that
// core/vrrp can count it.
package wire
