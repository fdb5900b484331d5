package pluginv1

// FeatureHeartbeat is the feature of a plugin that sends a heartbeat every second on the stream of its checks. A host takes it at
// its word: when the heartbeats do not come, the plugin hangs.
const FeatureHeartbeat = "heartbeat"

// Features are what this version of the protocol has beyond the first, for both sides to tell each other.
func Features() []string { return []string{FeatureHeartbeat} }
