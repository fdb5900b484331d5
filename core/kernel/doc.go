// Package kernel makes the Linux kernel hold what this node wishes: the addresses of its virtual routers, their
// announcements in the local network, and the services of IPVS; and it tells of changes of the interfaces.
//
// [Addresses] and [Services] take the latest wish, compare it with what the kernel holds, add before they remove, report, and
// look again when somebody else has changed something. They touch only what is this project's: addresses that bear its mark
// or were wished for, services that are recorded as its own. They never flush. It is not for deciding what to hold: that is
// core/node's work.
package kernel
