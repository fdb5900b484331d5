package pluginv1

// ReattachEnv names the variable by which a host that a developer runs finds plugins that already run, most likely in a
// debugger: a JSON object of [Reattach] by the plugin's name. Such plugins are neither started nor stopped by the host.
const ReattachEnv = "VIPWARD_REATTACH_PLUGINS"

// Reattach says where a running plugin listens. Its form is that of go-plugin's reattach configuration in Terraform.
type Reattach struct {
	// Protocol is "grpc".
	Protocol string
	// ProtocolVersion is [ProtocolVersion] of the plugin.
	ProtocolVersion int
	// Pid of the plugin.
	Pid int
	// Test is true: the plugin outlives its host.
	Test bool
	// Addr is where it listens.
	Addr Addr
}

// Addr is the address of a socket.
type Addr struct {
	// Network is "unix", and String the path.
	Network, String string
}
