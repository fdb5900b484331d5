// Package guard decides about takeovers: whether a router that would become master may, and whether one that is master may stay,
// from what is known at that instant. It is pure: core/node gathers the evidence and does what the verdict says; how the protocol
// elects is core/vrrp's, and who asks the network, the fencers and the witness is the shell's.
package guard
