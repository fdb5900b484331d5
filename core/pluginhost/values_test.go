package pluginhost

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/vipward/vipward/core/health"
)

func TestTheFiguresOfAResultAreBounded(t *testing.T) {
	many := map[string]float64{}
	for n := range 40 {
		many[fmt.Sprintf("v%02d", n)] = float64(n)
	}
	for _, c := range []struct {
		name    string
		values  map[string]float64
		kept    string
		refused int
	}{
		{"none", nil, "", 0},
		{"names of metrics are kept", map[string]float64{"answer_seconds": 1, "n2": 2}, "answer_seconds n2", 0},
		{"other names are refused", map[string]float64{"": 1, "Big": 1, "a b": 1, "ö": 1, "1st": 1, "_x": 1, "a\"}": 1, strings.Repeat("a", 65): 1, "ok": 1}, "ok", 8},
		{"what is no number is refused", map[string]float64{"a": math.NaN(), "b": math.Inf(1), "c": 0}, "c", 2},
		{"the first sixteen are kept", many, "v00 v01 v02 v03 v04 v05 v06 v07 v08 v09 v10 v11 v12 v13 v14 v15", 24},
	} {
		t.Run(c.name, func(t *testing.T) {
			kept, refused := figures(c.values)
			if got := strings.Join(slices.Sorted(maps.Keys(kept)), " "); got != c.kept || refused != c.refused {
				t.Errorf("figures = %q with %d refused, want %q with %d", got, refused, c.kept, c.refused)
			}
		})
	}
}

// plainPass tells whether an observation is a pass and nothing else but figures.
func plainPass(o health.Observation) bool {
	return o.Outcome == health.Pass && o.Weight == -1 && o.Reason == ""
}
