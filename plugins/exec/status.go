package exec

import (
	"strings"

	"github.com/vipward/vipward/sdk"
)

// monitoring reads the end of a monitoring plugin: 0 is OK, 1 WARNING, 2 CRITICAL; 3 is UNKNOWN, and so is any other end. Its
// first line up to | is for people, what follows are figures. See draft-kaestle-monitoring-plugins-interface.
func monitoring(r *run) sdk.Result {
	text, figures := splitOutput(r.stdout.String())
	reason := r.reason(text)
	var result sdk.Result
	switch r.status {
	case 0:
		result = sdk.Pass()
	case 1:
		result = sdk.Warnf("%s", reason)
	case 2:
		result = sdk.Failf("%s", reason)
	default:
		return sdk.Errorf("%s", reason)
	}
	for _, f := range parseFigures(figures) {
		result = result.Value(f.label, f.value)
	}
	return result
}

// misc reads the end of a script of keepalived's MISC_CHECK: 0 is well, anything else is not; where the weight is dynamic, 1 is
// not well, and from 2 on the status is the weight plus 2.
func misc(r *run, dynamic bool) sdk.Result {
	switch {
	case r.status == 0:
		return sdk.Pass()
	case dynamic && r.status >= 2:
		return sdk.Pass().Weight(r.status - 2)
	}
	return sdk.Failf("%s", r.reason(r.stdout.FirstLine()))
}

// reason is what the command said, else what it complained of, else how it ended.
func (r *run) reason(said string) string {
	switch {
	case said != "":
		return said
	case r.stderr.FirstLine() != "":
		return r.stderr.FirstLine()
	case r.err != nil:
		return r.err.Error()
	}
	return "exit status 0"
}

// splitOutput takes apart a monitoring plugin's output: the first line up to |, and the figures, which follow there, and after
// the first | of the further lines.
func splitOutput(output string) (text, figures string) {
	first, more, _ := strings.Cut(strings.TrimLeft(output, "\r\n"), "\n")
	text, figures, _ = strings.Cut(first, "|")
	if _, rest, ok := strings.Cut(more, "|"); ok {
		figures += " " + rest
	}
	return strings.TrimSpace(text), figures
}
