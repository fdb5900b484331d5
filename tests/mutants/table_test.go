package main

import (
	"os"
	"path/filepath"
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
