package dns

import (
	"fmt"
	"slices"
	"strings"
)

// judge says what is wrong with an answer; nothing when all is well.
func (c *Config) judge(a answer) string {
	switch rcode := rcodeName(a.rcode); {
	case !slices.Contains(c.RCode, rcode):
		return fmt.Sprintf("response code %s, want %s", rcode, strings.Join(c.RCode, ", "))
	case c.Authoritative && !a.authoritative:
		return "the answer is not authoritative"
	case len(a.records) < c.MinAnswers:
		return fmt.Sprintf("%s, want at least %d: %s", count(a.records), c.MinAnswers, list(a.records))
	case c.MaxAnswers > 0 && len(a.records) > c.MaxAnswers:
		return fmt.Sprintf("%s, want at most %d: %s", count(a.records), c.MaxAnswers, list(a.records))
	}
	return c.judgeRecords(a.records)
}

// judgeRecords compares what the records hold.
func (c *Config) judgeRecords(records []string) string {
	exactly, oneOf := c.wanted(c.Answers), c.wanted(c.AnswerOneOf)
	slices.Sort(exactly)
	got := slices.Sorted(slices.Values(records))
	switch {
	case len(exactly) > 0 && !slices.Equal(got, exactly):
		return fmt.Sprintf("%s, want %s", list(got), list(exactly))
	case len(oneOf) > 0 && !slices.ContainsFunc(records, func(r string) bool { return slices.Contains(oneOf, r) }):
		return fmt.Sprintf("%s, want one of %s", list(got), list(oneOf))
	case c.expect != nil && !slices.ContainsFunc(records, c.expect.MatchString):
		return fmt.Sprintf("%s, want a match of %s", list(got), c.AnswerRE)
	}
	return ""
}

// wanted is what an operator expects in the form of the records.
func (c *Config) wanted(all []string) []string {
	var out []string
	for _, s := range all {
		out = append(out, canonical(c.Type, s))
	}
	return out
}

func count(records []string) string {
	if len(records) == 1 {
		return "1 record"
	}
	return fmt.Sprintf("%d records", len(records))
}

// maxShown is how many records a reason has.
const maxShown = 8

// list is the records for a reason.
func list(records []string) string {
	switch {
	case len(records) == 0:
		return "no record"
	case len(records) > maxShown:
		return strings.Join(records[:maxShown], ", ") + ", …"
	}
	return strings.Join(records, ", ")
}
