package exec

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"

	"github.com/vipward/vipward/sdk"
)

// credential is that of a user with its groups; nil for the plugin's own, and for one that it is already.
func credential(name string) (*syscall.Credential, error) {
	if name == "" {
		return nil, nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return nil, err
	}
	c, err := identity(u)
	switch {
	case err != nil:
		return nil, fmt.Errorf("user %s: %w", name, err)
	case int(c.Uid) == os.Geteuid():
		return nil, nil
	case os.Geteuid() != 0:
		return nil, fmt.Errorf("the plugin does not run as root, and cannot start a command as the user %s", name)
	}
	return c, nil
}

func identity(u *user.User) (*syscall.Credential, error) {
	uid, err := number(u.Uid)
	if err != nil {
		return nil, err
	}
	gid, err := number(u.Gid)
	if err != nil {
		return nil, err
	}
	c := &syscall.Credential{Uid: uid, Gid: gid}
	ids, err := u.GroupIds()
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		g, err := number(id)
		if err != nil {
			return nil, err
		}
		c.Groups = append(c.Groups, g)
	}
	return c, nil
}

func number(id string) (uint32, error) {
	n, err := strconv.ParseUint(id, 10, 32)
	return uint32(n), err
}

// validateUser warns of a user that this node does not have: the other one may.
func validateUser(name string) error {
	var unknown user.UnknownUserError
	if _, err := user.Lookup(name); name != "" && errors.As(err, &unknown) {
		return sdk.Warning(sdk.PathError(fmt.Errorf("there is no user %q on this node", name), "user"))
	}
	return nil
}
