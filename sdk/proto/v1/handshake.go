package pluginv1

// The handshake of go-plugin, by which host and plugin know each other. The host sets these variables in the plugin's
// environment; a plugin that does not find the cookie was started by hand.
const (
	// CookieKey and CookieValue are a variable of the environment and its value. They are no secret.
	CookieKey   = "VIPWARD_PLUGIN"
	CookieValue = "3b0f6d0c5a6e4d0b9c5f4f6f3d0e7a11"
	// ProtocolVersion is the major version of this protocol in go-plugin's handshake.
	ProtocolVersion = 1
	// LifelineEnv names the variable with the number of a file descriptor: a pipe whose other end the host holds.
	// A plugin reads it and exits at its end, since then the host is gone.
	LifelineEnv = "VIPWARD_LIFELINE_FD"
	// MaxMessage is the largest message that the host takes, in bytes.
	MaxMessage = 1 << 20
)
