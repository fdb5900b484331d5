// Package conformance checks whether a plugin keeps the protocol of vipward, in whatever language it is written. The package
// plugintest runs it in go test, and the command vipward plugin test on an executable. It is not for the daemon, and it does
// not check what a plugin is good for: that is a test of the plugin's own.
package conformance
