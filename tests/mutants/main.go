// Mutants breaks core/vrrp, core/guard and core/node in many small ways, one at a time and in a copy, and runs their tests and the simulation
// on each: every mutant must be noticed. Tests that notice nothing prove nothing.
//
// Usage: go run ./tests/mutants [-run REGEXP] [-sample N] [-both], from the top of the tree.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

func main() {
	pick := flag.String("run", "", "only the mutants whose name matches")
	sample := flag.Int("sample", 0, "so many of them, others each day; 0 for all")
	both := flag.Bool("both", false, "play the simulation also on those that other tests have noticed")
	flag.Parse()
	dir, err := os.MkdirTemp("", "vipward-mutants-")
	if err == nil {
		err = run(dir, choose(*pick, *sample), *both)
		_ = os.RemoveAll(dir) // in the directory for temporary files
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

// choose takes every mutant that matches, or a fixed rotation of them by the day.
func choose(pick string, sample int) (chosen []mutant) {
	re := regexp.MustCompile(pick)
	for _, m := range mutants {
		if re.MatchString(m.name) {
			chosen = append(chosen, m)
		}
	}
	if sample <= 0 || sample >= len(chosen) {
		return chosen
	}
	first := int(time.Now().Unix()/86400) * sample
	rotated := make([]mutant, sample)
	for k := range rotated {
		rotated[k] = chosen[(first+k)%len(chosen)]
	}
	return rotated
}

// verdict is what became of one mutant.
type verdict struct {
	mutant
	pure, sim string // what noticed it; empty for nothing
	err       error  // it could not be made
	took      time.Duration
}

func run(dir string, chosen []mutant, both bool) error {
	began := time.Now()
	bad := 0
	for k, m := range chosen {
		v := try(filepath.Join(dir, fmt.Sprint(k)), m, both)
		fmt.Println(v)
		if v.err != nil || v.pure == "" && v.sim == "" {
			bad++
		}
	}
	fmt.Printf("%d mutants, %d noticed, in %s\n", len(chosen), len(chosen)-bad, time.Since(began).Round(time.Second))
	if bad > 0 {
		return fmt.Errorf("%d mutants were not noticed or could not be made", bad)
	}
	return nil
}

// try makes one mutant as an overlay of its file, and runs the tests on it.
func try(dir string, m mutant, both bool) verdict {
	began := time.Now()
	v := verdict{mutant: m}
	overlay, err := m.overlay(dir)
	if err != nil {
		v.err = err
		return v
	}
	if v.pure, v.err = noticed(overlay, "./core/vrrp", "./core/guard", "./core/node"); v.err == nil && (both || v.pure == "") {
		v.sim, v.err = noticed(overlay, "./tests/sim", "-run", "Worlds|Stories|Crash|Past", "-hours", "12", "-shrink", "0")
	}
	v.took = time.Since(began)
	return v
}

// overlay writes the mutant into dir, with the file that tells the go command of it.
func (m mutant) overlay(dir string) (string, error) {
	b, err := os.ReadFile(m.file)
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(b), m.old); n != 1 {
		return "", fmt.Errorf("%s: the text to change is there %d times; put tests/mutants/table.go right:\n%s", m.file, n, m.old)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	changed, list := filepath.Join(dir, "mutant.go"), filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(changed, []byte(strings.Replace(string(b), m.old, m.new_, 1)), 0o644); err != nil {
		return "", err
	}
	file, err := filepath.Abs(m.file)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(map[string]map[string]string{"Replace": {file: changed}})
	if err != nil {
		return "", err
	}
	return list, os.WriteFile(list, text, 0o644)
}

var (
	failed    = regexp.MustCompile(`(?m)^ *--- FAIL: (\S+)`)
	invariant = regexp.MustCompile(`I[0-9]+ [a-z_ ]+:`)
)

// noticed runs tests on a mutant and tells which one failed, with the invariant where it names one.
func noticed(overlay string, args ...string) (string, error) {
	out, err := exec.Command("go", append([]string{"test", "-overlay", overlay, "-vet=off", "-failfast", "-timeout", "2m"}, args...)...).CombinedOutput()
	if err == nil {
		return "", nil
	}
	if strings.Contains(string(out), "[build failed]") || strings.Contains(string(out), "[setup failed]") {
		return "", fmt.Errorf("the mutant does not build: %s", out)
	}
	by := "a panic or the time-out"
	if all := failed.FindAllStringSubmatch(string(out), -1); len(all) > 0 {
		by = all[0][1]
		for _, m := range all {
			if strings.HasPrefix(m[1], by+"/") {
				by = m[1]
			}
		}
	}
	if i := invariant.FindString(string(out)); i != "" {
		by += " " + strings.TrimSuffix(i, ":")
	}
	return by, nil
}

func (v verdict) String() string {
	of := strings.Join(stands(v.name), " ")
	switch {
	case v.err != nil:
		return fmt.Sprintf("ERROR     %-45s %v", v.name, v.err)
	case v.pure == "" && v.sim == "":
		return fmt.Sprintf("SURVIVES  %-48s %-4s %s", v.name, of, v.took.Round(time.Second))
	}
	return fmt.Sprintf("noticed   %-48s %-4s %3s  %-60s %s", v.name, of, v.took.Round(time.Second), or(v.pure), or(v.sim))
}

func or(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
