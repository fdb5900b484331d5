package pluginhost

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/core/config"
)

// unprivileged are the users that plugins run as, the first of them that the machine has.
func unprivileged() []string { return []string{"vipward-plugin", "nobody"} }

// Confinement is what a plugin may do. Besides, every plugin runs without new privileges (prctl(2)), in an environment of its own,
// with limits to its resources, and dies with the daemon.
type Confinement struct {
	// Bundled tells whether it comes with vipward.
	Bundled bool `json:"bundled"`
	// User that it runs as, by name where it has one.
	User string `json:"user"`
	// Capabilities by their names; [config.AllCapabilities] alone for all of the daemon's, empty for none.
	Capabilities []string `json:"capabilities"`
	// Writable are the paths that it may write to, if its user may, besides its own folder of temporary files; "/" for any.
	Writable []string `json:"writable"`
	// Landlock is the version of landlock(7) that keeps it from writing elsewhere; 0 where the kernel has none, or anything may be
	// written.
	Landlock int `json:"landlock"`

	cred       *syscall.Credential // nil for the daemon's own user
	uid        int                 // that it runs as
	everything bool                // the capabilities are left as they are
	caps       capabilities
	ambient    []uintptr // to be given back to it after the change of its user
}

// daemon is what decides, besides the declaration, how a plugin is confined.
type daemon struct {
	uid      int
	caps     capabilities
	switches bool // it may start processes of other users
	landlock int
}

// thisDaemon is what holds for this process.
func thisDaemon() (daemon, error) {
	caps, err := permitted()
	if err != nil {
		return daemon{}, err
	}
	users, _ := os.ReadFile("/proc/self/uid_map") // without /proc there is nothing to execute either
	return daemon{
		uid: unix.Geteuid(), caps: caps, landlock: landlockVersion(),
		switches: caps&switching == switching && !isAlone(string(users)),
	}, nil
}

// isAlone tells by the text of /proc/PID/uid_map whether the user namespace has a single user, as a container without subordinate
// users has.
func isAlone(users string) bool {
	words := strings.Fields(users)
	return len(words) == 3 && words[2] == "1"
}

// switching are the capabilities by which a process of another user is started, given its folder, and ended.
const switching capabilities = 1<<0 | 1<<5 | 1<<6 | 1<<7 // CAP_CHOWN, CAP_KILL, CAP_SETGID, CAP_SETUID

// confine decides how a declared plugin is confined. Extra are capabilities that its checks take; they are for bundled plugins, since
// an operator decides what others get.
func (d daemon) confine(decl config.Plugin, bundled bool, extra capabilities) (Confinement, error) {
	t := standing(decl.Name, bundled)
	c := Confinement{Bundled: bundled, uid: d.uid, Writable: t.writable}
	if decl.Writable != nil {
		c.Writable = decl.Writable
	}
	if err := c.choose(decl.User, t, d); err != nil {
		return c, err
	}
	if err := c.grant(decl, t, d, extra); err != nil {
		return c, err
	}
	if !slices.Contains(c.Writable, "/") {
		c.Landlock = d.landlock
	}
	return c, nil
}

// choose picks the user.
func (c *Confinement) choose(name string, t trust, d daemon) error {
	candidates := unprivileged()
	switch {
	case name != "":
		candidates = []string{name}
	case t.own || !d.switches:
		candidates = nil
	}
	for _, candidate := range candidates {
		u, err := user.Lookup(candidate)
		if err != nil && name != "" {
			return err
		}
		if err != nil {
			continue
		}
		return c.become(u, d)
	}
	c.User = strconv.Itoa(c.uid)
	if u, err := user.LookupId(c.User); err == nil {
		c.User = u.Username
	}
	return nil
}

// become makes it run as a user, without supplementary groups.
func (c *Confinement) become(u *user.User, d daemon) error {
	uid, err := strconv.ParseUint(u.Uid, 10, 31)
	if err != nil {
		return fmt.Errorf("uid of %s: %w", u.Username, err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return fmt.Errorf("gid of %s: %w", u.Username, err)
	}
	c.User, c.uid = u.Username, int(uid)
	if c.uid == d.uid {
		return nil
	}
	if !d.switches {
		return fmt.Errorf("it is to run as %s, and the daemon may start no process of another user: "+
			"run it as root, with the capabilities chown, kill, setgid and setuid", u.Username)
	}
	c.cred = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return nil
}

// grant decides about the capabilities.
func (c *Confinement) grant(decl config.Plugin, t trust, d daemon, extra capabilities) error {
	switch {
	case slices.Contains(decl.Capabilities, config.AllCapabilities):
		c.everything, c.caps = c.uid == 0 && c.cred == nil, d.caps
		c.Capabilities = []string{config.AllCapabilities}
	case decl.Capabilities != nil:
		var err error
		if c.caps, err = capabilitiesOf(decl.Capabilities); err != nil {
			return err
		}
		if missing := c.caps &^ d.caps; missing != 0 {
			return fmt.Errorf("it is granted the capability %s, which the daemon itself does not have", strings.Join(missing.names(), ", "))
		}
		c.Capabilities = c.caps.names()
	case t.everything && c.uid == 0 && c.cred == nil:
		c.everything, c.caps = true, d.caps
		c.Capabilities = []string{config.AllCapabilities}
	default:
		c.caps = t.capabilities & d.caps
		if c.Bundled {
			c.caps |= extra & d.caps
		}
		c.Capabilities = c.caps.names()
	}
	if c.uid != 0 && !c.everything { // the capabilities of others than root do not survive an execve(2) but by this
		c.ambient = c.caps.numbers()
	}
	return nil
}

// enter confines the calling thread, and with it all that it starts, for good. What a process of another user loses by the change
// of its user it still has here, for that takes it. The folder is the plugin's own.
func (c *Confinement) enter(folder string, d daemon) error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("forbid new privileges: %w", err)
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("clear the ambient capabilities: %w", err)
	}
	if c.Landlock > 0 {
		if err := landlock(c.Landlock, c.paths(folder)); err != nil {
			return err
		}
	}
	if c.everything {
		return nil
	}
	if err := bound(c.caps); err != nil {
		return err
	}
	if c.cred != nil {
		return shrink(d.caps)
	}
	if err := leaveGroups(d.caps); err != nil {
		return err
	}
	if c.uid != 0 {
		return shrink(d.caps)
	}
	return shrink(c.caps)
}

// paths are all that it may write to: its folder, what is configured, what every program writes to, and, for one that is not root
// and so has nothing there but its own, /proc, where it gives itself a name.
func (c *Confinement) paths(folder string) []string {
	all := append([]string{folder}, c.Writable...)
	all = append(all, existing("/dev/null", "/dev/zero", "/dev/full")...)
	if c.uid != 0 {
		all = append(all, existing("/proc")...)
	}
	return all
}

// leaveGroups drops the supplementary groups of the calling thread, where it has the right to.
func leaveGroups(caps capabilities) error {
	if caps&(1<<6) == 0 { // CAP_SETGID
		return nil
	}
	// Not unix.Setgroups, which is for all threads of the process.
	if _, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, 0, 0, 0); errno != 0 && !errors.Is(errno, unix.EPERM) {
		return fmt.Errorf("drop the supplementary groups: %w", errno)
	}
	return nil
}

// String says in a sentence what it may do.
func (c Confinement) String() string {
	caps := "no capability"
	if len(c.Capabilities) > 0 {
		caps = "the capabilities " + strings.Join(c.Capabilities, ", ")
	}
	where := "writes nowhere but to its own folder"
	switch {
	case slices.Contains(c.Writable, "/"):
		where = "writes wherever its user may"
	case c.Landlock == 0:
		where = "writes wherever its user may, for this kernel has no landlock"
	case len(c.Writable) > 0:
		where = "writes to " + strings.Join(c.Writable, ", ") + " and its own folder"
	}
	return fmt.Sprintf("user %s, %s, %s", c.User, caps, where)
}
