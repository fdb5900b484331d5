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
	ipvs    bool // needs IPVS in the kernel
	measure func(bin string, rounds int, out io.Writer) error
}

func parts() []part {
	return []part{
		{"ends", false, benchEnds},
		{"checks", false, benchChecks},
		{"plugin", false, benchPlugin},
		{"flood", false, benchFlood},
		{"instances", false, benchInstances},
		{"ipvs", true, benchIPVS},
		{"ipvs-removal", true, benchRemoval},
	}
}

// BenchPlaces tells where the parts whose name matches, nil for all, are measured: in any kernel, and in one that has IPVS.
func BenchPlaces(match *regexp.Regexp) (anywhere, ipvs bool, err error) {
	var names []string
	for _, p := range parts() {
		names = append(names, p.name)
		matches := match == nil || match.MatchString(p.name)
		anywhere, ipvs = anywhere || matches && !p.ipvs, ipvs || matches && p.ipvs
	}
	if !anywhere && !ipvs {
		return false, false, fmt.Errorf("no measurement matches %v; there are %s", match, strings.Join(names, ", "))
	}
	return anywhere, ipvs, nil
}

// Bench measures the parts whose name matches, nil for all, that need IPVS or that do not, and writes a table of each. Rounds is how
// often what scatters is measured. Bin is the directory of the binaries.
func Bench(bin string, match *regexp.Regexp, ipvs bool, rounds int, out io.Writer) error {
	var errs []error
	for _, p := range parts() {
		if p.ipvs != ipvs || match != nil && !match.MatchString(p.name) {
			continue
		}
		if err := p.measure(bin, rounds, out); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", p.name, err))
		}
		fmt.Fprintln(out)
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
