package exec

import (
	"math"
	"strconv"
	"strings"
)

// maxFigures is how many figures a result carries; see [sdk.Result.Value].
const maxFigures = 16

// figure is one of the performance data.
type figure struct {
	label string
	value float64
}

// parseFigures reads performance data: 'label'=value[UOM];warn;crit;min;max, separated by spaces. The thresholds are the
// plugin's own matter. A word that is none of this, and a value of U, which is unknown, are left out.
func parseFigures(s string) []figure {
	var all []figure
	for len(all) < maxFigures {
		var label, word string
		if label, word, s = nextFigure(s); label == "" && word == "" {
			break
		}
		number, _, _ := strings.Cut(word, ";")
		if v, ok := parseValue(number); ok && label != "" {
			all = append(all, figure{label, v})
		}
	}
	return all
}

// nextFigure cuts the first label and what stands behind its equals sign off s. Both are empty at the end.
func nextFigure(s string) (label, word, rest string) {
	s = strings.TrimLeft(s, " \t\r\n")
	if strings.HasPrefix(s, "'") {
		label, s = unquote(s[1:])
	} else if i := strings.IndexAny(s, "= \t\r\n"); i >= 0 && s[i] == '=' {
		label, s = s[:i], s[i:]
	}
	word, rest = s, ""
	if i := strings.IndexAny(s, " \t\r\n"); i >= 0 {
		word, rest = s[:i], s[i:]
	}
	return label, strings.TrimPrefix(word, "="), rest
}

// unquote reads up to the closing quote; two quotes are one that is part of the label.
func unquote(s string) (label, rest string) {
	var b strings.Builder
	for {
		before, after, ok := strings.Cut(s, "'")
		b.WriteString(before)
		if !ok || !strings.HasPrefix(after, "'") {
			return b.String(), after
		}
		b.WriteByte('\'')
		s = after[1:]
	}
}

// parseValue reads a number with its unit. Times become seconds; other units are left out and their numbers stay.
func parseValue(s string) (float64, bool) {
	end := 0
	for end < len(s) && (s[end] >= '0' && s[end] <= '9' || strings.IndexByte("+-.", s[end]) >= 0) {
		end++
	}
	v, err := strconv.ParseFloat(s[:end], 64)
	if err != nil || math.IsInf(v, 0) {
		return 0, false
	}
	switch s[end:] {
	case "ms":
		v /= 1e3
	case "us":
		v /= 1e6
	case "ns":
		v /= 1e9
	}
	return v, true
}
