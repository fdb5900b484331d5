// Package pluginhost finds, verifies, starts and supervises plugins, hands them their checks and takes their observations.
// It speaks the protocol of sdk/proto/v1 over go-plugin and gRPC. It does not judge what a plugin observes: that is
// core/health; and a plugin that is dead, hung or missing yields no observation at all.
package pluginhost
