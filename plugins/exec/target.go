package exec

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/command"
)

var errNoAddress = errors.New("the target has no address for {address} or {port}: a check of the node itself writes them out")

// fill puts the target in the place of {address}, {port} and {name} in the arguments. What else is in braces stays.
func fill(argv []string, t sdk.Target) ([]string, error) {
	values := []string{"{name}", t.Name}
	if t.Address.IsValid() {
		values = append(values, "{address}", t.Address.Addr().String(), "{port}", strconv.Itoa(int(t.Address.Port())))
	}
	replacer, filled := strings.NewReplacer(values...), slices.Clone(argv)
	for i, arg := range argv[1:] {
		if !t.Address.IsValid() && (strings.Contains(arg, "{address}") || strings.Contains(arg, "{port}")) {
			return nil, errNoAddress
		}
		filled[i+1] = replacer.Replace(arg)
	}
	return filled, nil
}

// environment is the target, the operator's own words, and a language in which numbers have a decimal point.
func (c *CheckerConfig) environment(t sdk.Target) []string {
	env := []string{"LANG=C.UTF-8", "VIPWARD_TARGET_NAME=" + t.Name, "VIPWARD_TARGET_ADDRESS=", "VIPWARD_TARGET_PORT="}
	if t.Address.IsValid() {
		env[2] += t.Address.Addr().String()
		env[3] += strconv.Itoa(int(t.Address.Port()))
	}
	return append(env, command.Words(c.Env)...)
}
