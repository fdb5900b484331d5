// Package control is the daemon's HTTP interface: the unix socket that the command line talks to, and the read-only listener
// for load balancers, dashboards and Prometheus. It reads snapshots and hands commands on; it decides nothing, owns no state
// of the node and never waits for the loop while it holds a lock. It is NOT for authentication: who may open the socket is
// a matter of its mode, and the listener changes nothing.
package control
