// Package file is the checker "file": the first line of a file is a state or a weight, as an operator or another program writes it.
// It is not for logs, nor for anything that is longer than a line.
package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"strings"
	"time"

	"github.com/vipward/vipward/sdk"
)

// Config is the block of the checker.
type Config struct {
	Path    string        `vipward:"path,required" doc:"Absolute path of the file. {address} and {port} stand for those of the target."`
	As      string        `vipward:"as" default:"state" one_of:"state,weight" doc:"What the value is: state, which is up or down, or weight, a number that becomes the weight of the real server."`
	Up      []string      `vipward:"up" doc:"Values that are up: numbers, ranges as \"1..10\", \"5..\" or \"..0\", and words. Default: 0 for a state, any number for a weight."`
	Factor  float64       `vipward:"factor" default:"1" doc:"For a weight: what the number is multiplied with."`
	Base    int           `vipward:"base" min:"0" max:"65535" doc:"For a weight: what is added to it. Default: nothing."`
	Missing string        `vipward:"missing" default:"error" one_of:"error,up,down" doc:"What it means that there is no file. error leaves the target as it was."`
	MaxAge  time.Duration `vipward:"max_age" min:"1s" doc:"How long ago the file may have been written. Default: any time."`
	Stale   string        `vipward:"stale" default:"error" one_of:"error,up,down" doc:"What it means that it was written longer ago."`

	up    values
	files *reader
}

// Component is the checker for [sdk.Serve].
func Component() sdk.Component { return sdk.Checker("file", check, summary()) }

func summary() sdk.Option { return sdk.Summary("takes a value in a file as state or weight") }

// Validate reports what the tags cannot.
func (c *Config) Validate() error {
	var errs []error
	wrong := func(is bool, attribute, why string) {
		if is {
			errs = append(errs, sdk.PathError(errors.New(why), attribute))
		}
	}
	wrong(!filepath.IsAbs(c.Path), "path", "it is not absolute, and a plugin has no folder of its own")
	unknown := placeholders("", "").Replace(c.Path)
	wrong(strings.ContainsAny(unknown, "{}"), "path", "the placeholders are {address} and {port}")
	for i, s := range c.Up {
		v, err := parseValue(s)
		if err == nil && c.As == "weight" && v.word != "" {
			err = fmt.Errorf("%q is no number, and a weight is one", s)
		}
		errs = append(errs, sdk.PathError(err, "up", i))
	}
	wrong(c.As != "weight" && (c.Factor != 1 || c.Base != 0), "as", `factor and base are for as = "weight"`)
	wrong(math.IsNaN(c.Factor) || math.IsInf(c.Factor, 0), "factor", "it is no number")
	wrong(c.MaxAge == 0 && c.Stale != "error", "stale", "it says what becomes of a file that is older than max_age: set that")
	return errors.Join(errs...)
}

// Open works out which values are up.
func (c *Config) Open(context.Context) error {
	c.files = newReader(load)
	up := c.Up
	if len(up) == 0 && c.As == "state" {
		up = []string{"0"}
	}
	for _, s := range up {
		v, err := parseValue(s)
		if err != nil {
			return err
		}
		c.up = append(c.up, v)
	}
	return nil
}

// placeholders puts the address and the port of a target into a path.
func placeholders(address, port string) *strings.Replacer {
	return strings.NewReplacer("{address}", address, "{port}", port)
}

// path is the file of a target.
func (c *Config) path(t sdk.Target) (string, error) {
	if !strings.Contains(c.Path, "{") {
		return c.Path, nil
	}
	if !t.Address.IsValid() {
		return "", fmt.Errorf("path %s is for a real server: this node has no address", c.Path)
	}
	return placeholders(t.Address.Addr().String(), fmt.Sprint(t.Address.Port())).Replace(c.Path), nil
}

func check(ctx context.Context, t sdk.Target, c Config) sdk.Result {
	path, err := c.path(t)
	if err != nil {
		return sdk.Errorf("%v", err)
	}
	f, err := c.files.read(ctx, path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return as(c.Missing, "there is no file "+path)
	case err != nil:
		return sdk.Errorf("%v", err)
	}
	age := time.Since(f.written)
	result := c.judge(path, f.line, age)
	return result.Value("age_seconds", max(0, age.Seconds()))
}

// as is the result that the operator has chosen for a case.
func as(verdict, why string) sdk.Result {
	switch verdict {
	case "up":
		return sdk.Pass()
	case "down":
		return sdk.Failf("%s", why)
	}
	return sdk.Errorf("%s", why)
}

// judge says what a line means.
func (c *Config) judge(path, line string, age time.Duration) sdk.Result {
	if c.MaxAge > 0 && age > c.MaxAge {
		return as(c.Stale, fmt.Sprintf("%s was written %v ago, want at most %v", path, age.Round(time.Second), c.MaxAge))
	}
	n, isNumber := number(line)
	switch {
	case line == "":
		return sdk.Errorf("%s is empty", path) // it may be about to be written
	case !isNumber && (c.As == "weight" || !c.up.words()):
		return sdk.Errorf("%s says %s, which is no number", path, excerpt(line))
	case len(c.up) > 0 && !c.up.have(line):
		return value(sdk.Failf("%s says %s, want %s", path, excerpt(line), c.up), n, isNumber)
	}
	result := value(sdk.Pass(), n, isNumber)
	if c.As == "weight" {
		result = result.Weight(c.weight(n))
	}
	return result
}

// value adds the number to the figures of a result.
func value(r sdk.Result, n float64, isNumber bool) sdk.Result {
	if isNumber {
		return r.Value("value", n)
	}
	return r
}

// weight is that of the real server: base + factor * n, from 0 to 65535.
func (c *Config) weight(n float64) int {
	return int(math.Round(min(max(float64(c.Base)+c.Factor*n, 0), math.MaxUint16)))
}
