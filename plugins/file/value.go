package file

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// one is a value that is up: a word, or the numbers from least to most, both included.
type one struct {
	text        string // as the operator wrote it
	word        string // empty for numbers
	least, most float64
}

// values are all that are up.
type values []one

// parseValue reads a number, a range with .. or a word.
func parseValue(s string) (one, error) {
	v := one{text: s, least: math.Inf(-1), most: math.Inf(1)}
	if n, ok := number(s); ok {
		v.least, v.most = n, n
		return v, nil
	}
	from, to, isRange := strings.Cut(s, "..")
	switch {
	case s == "" || strings.TrimSpace(s) != s || strings.ContainsAny(s, "\r\n"):
		return v, fmt.Errorf("%q is no value: it is a number, a range or a word", s)
	case !isRange:
		v.word = s
		return v, nil
	}
	okFrom, okTo := true, true
	if from != "" {
		v.least, okFrom = number(from)
	}
	if to != "" {
		v.most, okTo = number(to)
	}
	switch {
	case !okFrom || !okTo || from == "" && to == "":
		return v, fmt.Errorf(`%q is no range: write it like "1..10", "5.." or "..0"`, s)
	case v.least > v.most:
		return v, fmt.Errorf("the range %q is empty", s)
	}
	return v, nil
}

// number is the number that a text is. Infinity and NaN are none.
func number(s string) (float64, bool) {
	n, err := strconv.ParseFloat(s, 64)
	return n, err == nil && !math.IsInf(n, 0) && !math.IsNaN(n)
}

// have tells whether a line is one of the values.
func (vs values) have(line string) bool {
	n, isNumber := number(line)
	return slices.ContainsFunc(vs, func(v one) bool {
		if v.word != "" {
			return v.word == line
		}
		return isNumber && v.least <= n && n <= v.most
	})
}

// words tells whether there are words among the values, so that a line that is no number has a meaning.
func (vs values) words() bool {
	return slices.ContainsFunc(vs, func(v one) bool { return v.word != "" })
}

// String is what is expected, for a reason.
func (vs values) String() string {
	var all []string
	for _, v := range vs {
		all = append(all, v.text)
	}
	return strings.Join(all, ", ")
}

// excerpt is a line for a reason: as it is where it is a number, else in quotes and cut.
func excerpt(line string) string {
	const most = 40
	if _, ok := number(line); ok && len(line) <= most {
		return line
	}
	if len(line) > most {
		return fmt.Sprintf("%q…", strings.ToValidUTF8(line[:most], ""))
	}
	return fmt.Sprintf("%q", line)
}
