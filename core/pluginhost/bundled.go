package pluginhost

import (
	"encoding/json"
	"os"
	"path/filepath"

	"github.com/vipward/vipward/core/config"
)

// bundle is the name of the executable that has all bundled plugins.
const bundle = "vipward-plugins"

// isBundled tells whether an open executable is one of the plugins that come with vipward: whether it is the file vipward-plugins of
// its folder, by a link of either kind.
func isBundled(exe *os.File) bool {
	real, err := filepath.EvalSymlinks(exe.Name())
	if err != nil {
		return false
	}
	file, err := exe.Stat()
	if err != nil {
		return false
	}
	all, err := os.Stat(filepath.Join(filepath.Dir(real), bundle))
	return err == nil && os.SameFile(file, all)
}

// trust is what a plugin gets about which the configuration says nothing.
type trust struct {
	own          bool         // the daemon's user instead of an unprivileged one
	everything   bool         // as the daemon's user, all that the daemon has
	capabilities capabilities // else these
	writable     []string
}

// standing is what a plugin gets about which the configuration says nothing: nothing, unless it is a bundled one whose work takes
// more. A new one that speaks to the network only is right without a line here.
func standing(name string, bundled bool) trust {
	if !bundled {
		return trust{}
	}
	switch name {
	case "exec", "execd", "fence-agent", "nginx": // run what the operator names, which does whatever it does
		return trust{own: true, everything: true, writable: []string{"/"}}
	case "ping": // raw sockets, where the sysctl net.ipv4.ping_group_range lets nobody have others
		return trust{capabilities: netRaw}
	case "ssh": // a key that only root can read; and it asks by ARP whether the peer lives
		return trust{own: true, capabilities: netRaw}
	case "mysql", "postgres", "redis": // a password that only root can read
		return trust{own: true}
	case "file": // whatever file the operator names, whosever it is
		return trust{own: true, capabilities: dacReadSearch}
	case "fifo": // writes to one, and makes it
		return trust{own: true, capabilities: dacOverride, writable: []string{"/"}}
	}
	return trust{}
}

// Capabilities, by their numbers in linux/capability.h, and what takes them.
const (
	dacOverride   capabilities = 1 << 1  // to write to files of others
	dacReadSearch capabilities = 1 << 2  // to read them
	netAdmin      capabilities = 1 << 12 // SO_MARK (socket(7))
	netRaw        capabilities = 1 << 13 // SO_BINDTODEVICE, and SOCK_RAW
)

// needs are the capabilities that the packets of a check take.
func needs(c *config.Check) capabilities {
	var set capabilities
	if c.Mark != 0 {
		set |= netAdmin
	}
	if c.Device != "" {
		set |= netRaw
	}
	return set
}

// extraOf are the capabilities that plugins take for what they are configured to, by plugin.
func extraOf(checks []config.Check, notifiers []config.Notifier, uses []Use) map[string]capabilities {
	all := make(map[string]capabilities)
	for i := range checks {
		all[checks[i].Kind] |= needs(&checks[i])
	}
	for _, n := range notifiers {
		all[n.Kind] |= secretNeeds(n.Config)
	}
	for _, u := range uses {
		all[u.Name] |= secretNeeds(u.Config)
	}
	return all
}

// secretNeeds is what it takes to read the secret whose file a block names: nobody but root is to read it, and the plugin is not root.
func secretNeeds(block json.RawMessage) capabilities {
	var files struct {
		Key      string `json:"key_file"`
		Password string `json:"password_file"`
		Token    string `json:"token_file"`
	}
	if json.Unmarshal(block, &files) != nil || files.Key+files.Password+files.Token == "" {
		return 0
	}
	return dacReadSearch
}
