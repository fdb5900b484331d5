package access

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/vipward/vipward/sdk"
)

// Question is a query to a database and the answer that is expected, as attributes: a Config embeds it.
type Question struct {
	Query    string `vipward:"query" doc:"Query to make."`
	Expect   string `vipward:"expect" doc:"Text that the first column of the first row must be. Default: any, or no row."`
	ExpectRE string `vipward:"expect_regexp" doc:"Regular expression (RE2) that it must match."`

	want *regexp.Regexp
}

// Validate reports what the attributes do not allow together.
func (q *Question) Validate() error {
	var all []error
	if q.Query == "" && (q.Expect != "" || q.ExpectRE != "") {
		all = append(all, sdk.PathError(errors.New("there is something to expect and no query"), "query"))
	}
	if q.Expect != "" && q.ExpectRE != "" {
		all = append(all, sdk.PathError(errors.New("expect and expect_regexp exclude each other"), "expect"))
	}
	if _, err := regexp.Compile(q.ExpectRE); err != nil {
		all = append(all, sdk.PathError(fmt.Errorf("no regular expression: %w", err), "expect_regexp"))
	}
	return errors.Join(all...)
}

// Prepare compiles what is expected, for the Open of a Config that is valid.
func (q *Question) Prepare() {
	switch {
	case q.Expect != "":
		q.want = regexp.MustCompile("^(?s:" + regexp.QuoteMeta(q.Expect) + ")$")
	case q.ExpectRE != "":
		q.want = regexp.MustCompile(q.ExpectRE) // Validate compiled it
	}
}

// Judge is the verdict on an answer; found tells whether there was a row.
func (q *Question) Judge(value string, found bool) sdk.Result {
	wanted := "a match of " + q.ExpectRE
	if q.Expect != "" {
		wanted = Excerpt(q.Expect)
	}
	switch {
	case q.want == nil:
		return sdk.Pass()
	case !found:
		return sdk.Failf("%s: no row, want %s", q.Query, wanted)
	case !q.want.MatchString(value):
		return sdk.Failf("%s: %s, want %s", q.Query, Excerpt(value), wanted)
	}
	return sdk.Pass()
}

// Excerpt is the beginning of a text of a server, in quotes, for a reason.
func Excerpt(s string) string {
	return fmt.Sprintf("%q", strings.ToValidUTF8(s[:min(len(s), 80)], "?"))
}
