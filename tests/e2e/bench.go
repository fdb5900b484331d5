package e2e

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/vipward/vipward/tests/lab/scenario"
)

// part is one measurement of [Bench], with a table of its own.
type part struct {
	name    string
	measure func(bin string, rounds int, out io.Writer) error
}

func parts() []part {
	return []part{
		{"ends", benchEnds},
		{"checks", benchChecks},
		{"plugin", benchPlugin},
		{"flood", benchFlood},
		{"instances", benchInstances},
	}
}

// Bench measures the parts whose name matches, nil for all, and writes a table of each. Rounds is how often what scatters is
// measured. Bin is the directory of the binaries.
func Bench(bin string, match *regexp.Regexp, rounds int, out io.Writer) error {
	var names []string
	var errs []error
	measured := false
	for _, p := range parts() {
		names = append(names, p.name)
		if match != nil && !match.MatchString(p.name) {
			continue
		}
		measured = true
		if err := p.measure(bin, rounds, out); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", p.name, err))
		}
		fmt.Fprintln(out)
	}
	if !measured {
		return fmt.Errorf("no measurement matches %v; there are %s", match, strings.Join(names, ", "))
	}
	return errors.Join(errs...)
}

// once plays one measurement; what it fails with is an error.
func once(bin, name string, f func(*T)) error {
	if r := scenario.Play(scenario.Scenario{Name: name, Run: f}, bin); !r.OK {
		return errors.New(strings.Join(append(r.Failures, r.Log...), "\n"))
	}
	return nil
}
