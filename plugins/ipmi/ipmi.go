// Package ipmi is the fencer "ipmi": it switches the power of a machine by its management controller (IPMI 2.0 over LAN, RMCP+),
// and reads the power back. It runs ipmitool, which knows the quirks of the vendors' controllers, and gives it the password
// through a pipe: neither the arguments nor the environment show it. It is not for a controller of Redfish: see plugins/redfish.
package ipmi

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/command"
	"github.com/vipward/vipward/sdk/power"
)

// Config is the block of the fencer.
type Config struct {
	Address      netip.AddrPort `vipward:"address,required" doc:"The controller, with its port: 623 by the standard."`
	User         string         `vipward:"user,required" doc:"A user who may control the power: operator, on most controllers."`
	Password     sdk.Secret     `vipward:"password,required" doc:"Up to 20 bytes, as IPMI 2.0 has it."`
	Privilege    string         `vipward:"privilege" default:"operator" one_of:"user,operator,administrator" doc:"That is asked for. Reading takes user, switching operator."`
	CipherSuites []int          `vipward:"cipher_suites" default:"[17, 3]" min:"0" max:"255" doc:"Tried in this order, the next one where the controller does not know the one before."`
	Action       string         `vipward:"action" default:"off" one_of:"off,reboot" doc:"With reboot, the power is given back once it was off."`
	Poll         time.Duration  `vipward:"poll" default:"1s" min:"100ms" max:"1m" doc:"Between two readings while the power is not off yet."`
	Tool         string         `vipward:"tool" default:"ipmitool" doc:"The program ipmitool, by its name or its whole path."`
}

// maxPassword is the length of a password in IPMI 2.0 (section 22.30, set user password).
const maxPassword = 20

// Validate refuses what no controller takes, and warns where ipmitool is missing.
func (c *Config) Validate() error {
	var faults []error
	if len(c.Password) > maxPassword {
		faults = append(faults, sdk.PathError(fmt.Errorf("longer than the %d bytes that IPMI 2.0 allows", maxPassword), "password"))
	}
	if len(c.CipherSuites) == 0 {
		faults = append(faults, sdk.PathError(errors.New("name at least one, for example 17"), "cipher_suites"))
	}
	if i := slices.Index(c.CipherSuites, 0); i >= 0 {
		faults = append(faults, sdk.PathError(errors.New("suite 0 lets anybody in without the password: leave it out, and switch it off at the controller"),
			"cipher_suites", i))
	}
	if _, err := command.Find(c.Tool); err != nil {
		faults = append(faults, sdk.Warning(sdk.PathError(fmt.Errorf("cannot run on this node: %w; on Debian it is in the package ipmitool", err), "tool")))
	}
	return errors.Join(faults...)
}

// Fencer is the fencer for [sdk.Serve].
func Fencer() sdk.Component {
	return sdk.Fencer("ipmi", power.Fence(open), sdk.Summary("switches the power of a machine by its management controller, and reads it back"))
}

func open(_ context.Context, _ sdk.FenceTarget, c Config) (*power.Device, error) {
	tool := &ipmitool{config: c}
	return &power.Device{
		Name: "the power at " + c.Address.Addr().String(), Poll: c.Poll, Reboot: c.Action == "reboot",
		Read: tool.read, Switch: tool.turn,
		Ready: func(context.Context, power.State) error {
			if c.Privilege == "user" {
				return errors.New(`with privilege = "user" the controller lets nobody switch: it takes operator`)
			}
			return nil
		},
	}, nil
}
