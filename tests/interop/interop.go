package interop

import (
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/vipward/vipward/tests/lab/scenario"
)

// Run plays every cell whose line matches, so many at a time, and prints the table of all: what passed with its figures, what
// failed and why, and what a peer cannot. It returns whether all passed. Bin is the directory of the binaries.
func Run(bin string, match *regexp.Regexp, parallel int, out io.Writer) bool {
	began := time.Now()
	list, missing := plan(match)
	results := map[string]scenario.Result{}
	scenario.Run(list, bin, parallel, func(r scenario.Result) {
		results[r.Scenario] = r
		if !r.OK {
			tell(out, r)
		}
	})
	passed, again := 0, 0
	for _, s := range list {
		r := results[s.Name]
		verdict := "FAIL"
		if r.OK {
			verdict, passed = "ok", passed+1
		}
		if r.Again {
			again++
		}
		fmt.Fprintf(out, "%-5s %s  %s\n", verdict, s.Name, figures(r))
	}
	for _, c := range missing {
		fmt.Fprintln(out, c)
	}
	fmt.Fprintf(out, "%d cells passed, %d failed, %d were played again, in %v\n", passed, len(list)-passed, again, time.Since(began).Round(time.Second))
	return passed == len(list)
}

// plan lists the games of the lines that match, and the lines that are none, with why.
func plan(match *regexp.Regexp) (games []scenario.Scenario, missing []string) {
	for _, w := range wires {
		for _, p := range peers {
			if why := p.cannot(w); why != "" {
				if name := line(p, w, "all"); match.MatchString(name) {
					missing = append(missing, fmt.Sprintf("%-5s %s  %s", "-", name, why))
				}
				continue
			}
			for _, c := range cells {
				if name := line(p, w, c.name); match.MatchString(name) && !(c.unlike && p.oracle) {
					games = append(games, scenario.Scenario{Name: name, Run: func(t *scenario.T) { play(t, p, w, c) }})
				}
			}
		}
	}
	return games, missing
}

func line(p peer, w wire, cell string) string {
	return fmt.Sprintf("%-14s %-22s %-33s", p.name, w, cell)
}

// figures are those of a result, the owners in one.
func figures(r scenario.Result) string {
	var owners, rest []string
	for _, f := range r.Figures {
		if owner, ok := strings.CutPrefix(f, "owner "); ok {
			owners = append(owners, owner)
		} else {
			rest = append(rest, f)
		}
	}
	return fmt.Sprintf("%-22s %s", strings.Join(owners, " > "), strings.Join(rest, ", "))
}

// tell is what failed, with the log.
func tell(out io.Writer, r scenario.Result) {
	fmt.Fprintf(out, "FAIL  %s\n", r.Scenario)
	for _, f := range r.Failures {
		fmt.Fprintf(out, "     - %s\n", strings.ReplaceAll(f, "\n", "\n       "))
	}
	fmt.Fprintf(out, "       %s\n", strings.ReplaceAll(strings.Join(r.Log, "\n"), "\n", "\n       "))
}
