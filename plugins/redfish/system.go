package redfish

import (
	"context"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/vipward/vipward/sdk/power"
)

// link is a reference to another resource.
type link struct {
	ID string `json:"@odata.id"`
}

// collection is the list of the systems.
type collection struct {
	Members []link
}

// computer is what of a ComputerSystem is needed.
type computer struct {
	PowerState string
	Actions    struct {
		Reset struct {
			Target    string
			Allowable []string `json:"ResetType@Redfish.AllowableValues"`
		} `json:"#ComputerSystem.Reset"`
	}
}

// system is the machine whose power is switched, for one call of the fencer.
type system struct {
	client *client
	config Config
	path   string // once it was looked for
}

// find is the path of the system: as it is configured, or the only one that there is.
func (s *system) find(ctx context.Context) (string, error) {
	const all = "/redfish/v1/Systems"
	switch {
	case s.path != "":
	case strings.HasPrefix(s.config.System, "/"):
		s.path = s.config.System
	case s.config.System != "":
		s.path = all + "/" + s.config.System
	default:
		var c collection
		if err := s.client.get(ctx, all, &c); err != nil {
			return "", err
		}
		if len(c.Members) != 1 {
			var ids []string
			for _, m := range c.Members {
				ids = append(ids, path.Base(m.ID))
			}
			return "", power.Refused(fmt.Errorf("the controller has %d systems (%s): name one of them in the attribute system",
				len(ids), strings.Join(ids, ", ")))
		}
		s.path = c.Members[0].ID
	}
	return s.path, nil
}

func (s *system) get(ctx context.Context) (computer, error) {
	var c computer
	p, err := s.find(ctx)
	if err == nil {
		err = s.client.get(ctx, p, &c)
	}
	return c, err
}

// read is PowerState. What is on its way, in either direction, has power: a machine that powers off may still write, and one that
// powers on will.
func (s *system) read(ctx context.Context) (power.State, error) {
	c, err := s.get(ctx)
	switch {
	case err != nil:
		return "", err
	case c.PowerState == "Off":
		return power.Off, nil
	case slices.Contains([]string{"On", "PoweringOff", "PoweringOn", "Paused"}, c.PowerState):
		return power.On, nil
	}
	return "", fmt.Errorf("PowerState of %s is %q, which is neither On nor Off", s.path, c.PowerState)
}

func (s *system) resetType(to power.State) string {
	if to == power.On {
		return s.config.On
	}
	return s.config.Off
}

// turn asks for a reset. The controller's yes means that it has begun at best.
func (s *system) turn(ctx context.Context, to power.State) error {
	c, err := s.get(ctx)
	if err != nil {
		return err
	}
	target := c.Actions.Reset.Target
	if target == "" {
		target = s.path + "/Actions/ComputerSystem.Reset"
	}
	return s.client.do(ctx, http.MethodPost, target, map[string]string{"ResetType": s.resetType(to)}, nil)
}

// ready tells whether the system takes the reset, as far as it says.
func (s *system) ready(ctx context.Context, to power.State) error {
	c, err := s.get(ctx)
	if err != nil {
		return err
	}
	allowed, want := c.Actions.Reset.Allowable, s.resetType(to)
	if len(allowed) > 0 && !slices.Contains(allowed, want) {
		return fmt.Errorf("the system takes no ResetType %s; it takes %s", want, strings.Join(allowed, ", "))
	}
	return nil
}
