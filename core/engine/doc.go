// Package engine is the daemon: THE loop, and the wiring of what stands around it. It decides nothing: what is to be done
// says core/node. Read loop.go first.
package engine
