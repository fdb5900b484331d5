// Package redfish is the fencer "redfish": it switches the power of a machine by its management controller (DMTF DSP0266, the
// action ComputerSystem.Reset), and reads PowerState back. It is net/http and a few structs: of the hundreds of schemas it
// needs four. It is not for a controller that knows IPMI only: see plugins/ipmi.
package redfish

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/power"
	"github.com/vipward/vipward/sdk/tlsclient"
)

// Config is the block of the fencer.
type Config struct {
	URL      string             `vipward:"url,required" pattern:"https?://.+" doc:"The controller, as https://10.9.0.3."`
	User     string             `vipward:"user,required" doc:"A user who may reset the system: operator, on most controllers."`
	Password sdk.Secret         `vipward:"password,required" doc:"Of this user."`
	System   string             `vipward:"system" doc:"The system, by its Id or its whole path; the only one without it."`
	Auth     string             `vipward:"auth" default:"session" one_of:"session,basic" doc:"A session is opened and closed for each call; basic sends the password with every request."`
	Off      string             `vipward:"reset_off" default:"ForceOff" doc:"The ResetType that takes the power away."`
	On       string             `vipward:"reset_on" default:"On" doc:"The ResetType that gives it back."`
	Action   string             `vipward:"action" default:"off" one_of:"off,reboot" doc:"With reboot, the power is given back once it was off."`
	Poll     time.Duration      `vipward:"poll" default:"1s" min:"100ms" max:"1m" doc:"Between two readings while the power is not off yet."`
	TLS      *tlsclient.Options `vipward:"tls,block" doc:"Options of https."`
}

// Validate refuses what never works, and warns of what is not safe or not on this node.
func (c *Config) Validate() error {
	var faults []error
	u, err := url.Parse(c.URL)
	switch {
	case err != nil || u.Host == "":
		faults = append(faults, sdk.PathError(errors.New(`no URL of a controller; write it like "https://10.9.0.3"`), "url"))
	case u.User != nil || u.RawQuery != "" || strings.Trim(u.Path, "/") != "" && strings.Trim(u.Path, "/") != "redfish/v1":
		faults = append(faults, sdk.PathError(errors.New("write the controller alone, without user, path and query"), "url"))
	case u.Scheme == "http":
		faults = append(faults, sdk.Warning(sdk.PathError(errors.New("the password travels in clear text: write https"), "url")))
	}
	if c.TLS != nil && c.TLS.Insecure {
		faults = append(faults, sdk.Warning(sdk.PathError(
			errors.New("whoever answers at this address gets the password: give the controller's certificate in ca_file instead"), "tls", "insecure")))
	}
	return errors.Join(append(faults, c.TLS.Validate("tls"))...)
}

// Fencer is the fencer for [sdk.Serve].
func Fencer() sdk.Component {
	return sdk.Fencer("redfish", power.Fence(open), sdk.Summary("switches the power of a machine by Redfish, and reads it back"))
}

func open(ctx context.Context, _ sdk.FenceTarget, c Config) (*power.Device, error) {
	client, err := dial(c)
	if err != nil {
		return nil, err
	}
	if c.Auth == "session" {
		if err := client.login(ctx); err != nil {
			client.close()
			return nil, err
		}
	}
	s := &system{client: client, config: c}
	return &power.Device{
		Name: "the power at " + client.base.Host, Poll: c.Poll, Reboot: c.Action == "reboot", Close: client.close,
		Read: s.read, Switch: s.turn, Ready: s.ready,
	}, nil
}
