package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A sample of the mutants is played a day; this tells at once of one that a change has left behind.
func TestEachMutantFits(t *testing.T) {
	for _, m := range mutants {
		b, err := os.ReadFile(filepath.Join("..", "..", m.file))
		if err != nil {
			t.Error(err)
			continue
		}
		if n := strings.Count(string(b), m.old); n != 1 {
			t.Errorf("%s: what it changes is %d times in %s, want once", m.name, n, m.file)
		}
	}
}

// Each invariant has mutants, and each of those that are named is there.
func TestInvariantsHaveMutants(t *testing.T) {
	for _, i := range []string{"I1", "I2", "I3", "I6", "I7", "I16", "I17", "I21"} {
		if len(breaks[i]) < 5 {
			t.Errorf("%s has %d mutants, want 5 at least", i, len(breaks[i]))
		}
	}
	for i, names := range breaks {
		for _, name := range names {
			if !slices.ContainsFunc(mutants, func(m mutant) bool { return m.name == name }) {
				t.Errorf("%s: there is no mutant %q", i, name)
			}
		}
	}
}
