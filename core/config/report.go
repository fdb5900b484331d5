package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// report is a diagnostic in the making: why and what to do about it follow by [report.because].
type report struct{ *hcl.Diagnostic }

// because adds the detail: sentences that say why, and what to write instead.
func (r report) because(format string, args ...any) {
	r.Detail = strings.TrimSpace(fmt.Sprintf(format, args...)) // a plugin need not have words of its own at the end
}

// fault reports an error at a place.
func (l *loading) fault(at hcl.Range, format string, args ...any) report {
	return l.report(hcl.DiagError, at, fmt.Sprintf(format, args...))
}

// warn reports a warning at a place.
func (l *loading) warn(at hcl.Range, format string, args ...any) report {
	return l.report(hcl.DiagWarning, at, fmt.Sprintf(format, args...))
}

func (l *loading) report(severity hcl.DiagnosticSeverity, at hcl.Range, summary string) report {
	d := &hcl.Diagnostic{Severity: severity, Summary: summary, Subject: &at}
	if !slices.Contains(l.broken, at) {
		l.diags = append(l.diags, d)
	}
	return report{d}
}

// notYet refuses what a later release builds. It is never just ignored: who writes it relies on it.
func (l *loading) notYet(at hcl.Range, what, why string) {
	l.fault(at, "%s is not yet supported", what).because("%s", why)
}

// addHCL takes what HCL itself reports: without echoes of what has been reported already, and with the names that the block
// would take.
func (l *loading) addHCL(diags hcl.Diagnostics, s spec) {
	for _, d := range diags {
		if l.isEcho(d) {
			continue
		}
		switch d.Summary {
		case "Unsupported argument", "Unsupported block type":
			d = l.explainUnsupported(*d, s)
		case "Unknown variable":
			if d.Expression != nil {
				d = explainUnknown(*d)
			}
		}
		l.diags = append(l.diags, d)
	}
}

// isEcho tells whether a diagnostic only repeats another: a reference that is known to be wrong, a value that is unknown for it.
func (l *loading) isEcho(d *hcl.Diagnostic) bool {
	if d.Subject == nil {
		return false
	}
	if strings.Contains(d.Detail, "not yet known") && l.diags.HasErrors() {
		return true
	}
	return d.Summary == "Unsupported attribute" && slices.ContainsFunc(l.misread, func(r hcl.Range) bool {
		return r.Filename == d.Subject.Filename && r.Overlaps(*d.Subject)
	})
}

func (l *loading) explainUnsupported(d hcl.Diagnostic, s spec) *hcl.Diagnostic {
	name := l.textAt(*d.Subject)
	switch ours := fromKeepalived(name); {
	case ours != "":
		d.Detail = fmt.Sprintf("%s is the name in keepalived. Write %s.", name, ours)
	case strings.Contains(d.Detail, "Did you mean"):
	default:
		names := s.attrs
		if d.Summary == "Unsupported block type" {
			names = s.blockTypes()
		}
		d.Detail += cmp.Or(suggest(name, names), " "+s.offers()) // HCL suggests no attribute that is there already
	}
	return &d
}

// explainUnknown says of a single word that is no variable what is mostly the matter: its quotes are missing.
func explainUnknown(d hcl.Diagnostic) *hcl.Diagnostic {
	if len(d.Expression.Variables()) == 1 && len(d.Expression.Variables()[0]) == 1 {
		word := d.Expression.Variables()[0].RootName()
		d.Summary = fmt.Sprintf("unknown name %s", word)
		d.Detail = fmt.Sprintf("A text stands in quotes: %q. Variables are local.NAME, var.NAME, node.name and node.address.", word)
	}
	return &d
}

// textAt is the source at a place.
func (l *loading) textAt(r hcl.Range) string {
	for _, s := range l.sources {
		if s.name == r.Filename && r.CanSliceBytes(s.hcl.Bytes) {
			return strings.Trim(string(r.SliceBytes(s.hcl.Bytes)), `"`)
		}
	}
	return ""
}

// thereAre says which names there are, for a message about one that is not: "The checkers are a and b.", with a suggestion.
func thereAre(kind, given string, names []string) string {
	if len(names) == 0 {
		return fmt.Sprintf("There are no %s.", kind)
	}
	return fmt.Sprintf("The %s are %s.%s", kind, list(names), suggest(given, names))
}

// suggest is the one of the names that given was probably meant to be, as a sentence with a space before it; or nothing.
func suggest(given string, names []string) string {
	best, least := "", 3
	for _, n := range names {
		if d := distance(given, n); d < least {
			best, least = n, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" Did you mean %q?", best)
}

// distance is the number of letters to insert, delete or exchange to make one word of the other (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
