package config

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// Severity tells whether a configuration with this diagnostic can be used.
type Severity string

// The severities: an [Error] makes the configuration unusable, a [Warning] does not.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// Diagnostic is one fault in a configuration, with its place.
type Diagnostic struct {
	Severity Severity `json:"severity"`
	// Summary says what is wrong, in a few words.
	Summary string `json:"summary"`
	// Detail says why, and what to write instead.
	Detail string `json:"detail,omitempty"`
	// File is the path as it was given to [Load]; empty where the fault has no place.
	File string `json:"file,omitempty"`
	// Line and Column of the fault's beginning, from 1; 0 where it has no place.
	Line   int `json:"line,omitempty"`
	Column int `json:"column,omitempty"`
	// Source is the line itself; of a very long one, what is around the fault.
	Source string `json:"source,omitempty"`
	// Context names the outermost block around it, for example `vrrp_instance "web"`.
	Context string `json:"context,omitempty"`

	from, width int // of the fault within Source, in bytes
}

// Diagnostics are all faults of a configuration, ordered by place, each once.
type Diagnostics []Diagnostic

// HasErrors tells whether there is more than warnings.
func (d Diagnostics) HasErrors() bool {
	return slices.ContainsFunc(d, func(x Diagnostic) bool { return x.Severity == Error })
}

// Counts is the number of errors and of warnings.
func (d Diagnostics) Counts() (errors, warnings int) {
	for _, x := range d {
		if x.Severity == Error {
			errors++
		} else {
			warnings++
		}
	}
	return errors, warnings
}

// Err is nil where there are only warnings, else an error of one line: the first fault and how many there are.
func (d Diagnostics) Err() error {
	i := slices.IndexFunc(d, func(x Diagnostic) bool { return x.Severity == Error })
	if i < 0 {
		return nil
	}
	text := d[i].Summary
	if d[i].File != "" {
		text = fmt.Sprintf("%s:%d: %s", d[i].File, d[i].Line, text)
	}
	if errors, _ := d.Counts(); errors > 1 {
		text += fmt.Sprintf(" (and %d more)", errors-1)
	}
	return fmt.Errorf("%s", text)
}

// Merge is both lists together, ordered and without repetitions.
func (d Diagnostics) Merge(more Diagnostics) Diagnostics {
	all := append(slices.Clone(d), more...)
	slices.SortStableFunc(all, func(a, b Diagnostic) int {
		return cmp.Or(
			cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column),
			cmp.Compare(a.Severity, b.Severity), cmp.Compare(a.Summary, b.Summary), cmp.Compare(a.Detail, b.Detail),
		)
	})
	return slices.Compact(all)
}

// WriteText writes the diagnostics for people, a blank line between two. With color, terminal sequences mark the severity
// and the place within the line.
func (d Diagnostics) WriteText(w io.Writer, color bool) error {
	var b bytes.Buffer
	for i, x := range d {
		if i > 0 {
			b.WriteByte('\n')
		}
		x.writeText(&b, color)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// Terminal sequences (ECMA-48, select graphic rendition).
const (
	sgrRed, sgrYellow, sgrBold, sgrUnderline, sgrReset = "\x1b[31m", "\x1b[33m", "\x1b[1m", "\x1b[4m", "\x1b[0m"
)

func (x Diagnostic) writeText(b *bytes.Buffer, color bool) {
	paint := func(text, sgr string) string {
		if !color || text == "" {
			return text
		}
		return sgr + text + sgrReset
	}
	head := paint("Error:", sgrBold+sgrRed)
	if x.Severity == Warning {
		head = paint("Warning:", sgrBold+sgrYellow)
	}
	fmt.Fprintf(b, "%s %s\n", head, paint(x.Summary, sgrBold))
	if x.File != "" {
		fmt.Fprintf(b, "  on %s line %d", x.File, x.Line)
		if x.Context != "" {
			fmt.Fprintf(b, ", in %s", x.Context)
		}
		before, fault, after := x.split()
		fmt.Fprintf(b, ":\n%4d: %s%s%s\n", x.Line, before, paint(fault, sgrUnderline), after)
	}
	if x.Detail != "" {
		b.WriteString(wrap(x.Detail, 78))
		b.WriteByte('\n')
	}
}

// split cuts the source line at the ends of the fault.
func (x Diagnostic) split() (before, fault, after string) {
	from := min(x.from, len(x.Source))
	to := min(from+x.width, len(x.Source))
	return x.Source[:from], x.Source[from:to], x.Source[to:]
}

// wrap breaks text into lines of at most width bytes where it can. Lines that begin with a space are examples and stay.
func wrap(text string, width int) string {
	var out []string
	for line := range strings.SplitSeq(text, "\n") {
		for len(line) > width && !strings.HasPrefix(line, " ") {
			cut := strings.LastIndexByte(line[:width+1], ' ')
			if cut <= 0 {
				break
			}
			out, line = append(out, line[:cut]), line[cut+1:]
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n")
}

// fromHCL turns HCL's diagnostics into ours. Values of expressions are left out, since they may be secret.
func fromHCL(diags hcl.Diagnostics, files map[string]*hcl.File) Diagnostics {
	out := make(Diagnostics, 0, len(diags))
	for _, d := range diags {
		x := Diagnostic{Severity: Error, Summary: d.Summary, Detail: d.Detail}
		if d.Severity == hcl.DiagWarning {
			x.Severity = Warning
		}
		if d.Subject != nil {
			x.place(*d.Subject, files[d.Subject.Filename])
		}
		out = append(out, x)
	}
	return Diagnostics(nil).Merge(out)
}

// maxLine is how much of a line is shown, in bytes.
const maxLine = 240

// place fills in where the fault is.
func (x *Diagnostic) place(r hcl.Range, f *hcl.File) {
	x.File, x.Line, x.Column = r.Filename, r.Start.Line, r.Start.Column
	if f == nil {
		return
	}
	start := min(max(r.Start.Byte, 0), len(f.Bytes))
	from := bytes.LastIndexByte(f.Bytes[:start], '\n') + 1
	to := len(f.Bytes)
	if n := bytes.IndexByte(f.Bytes[from:], '\n'); n >= 0 {
		to = from + n
	}
	// HCL counts columns in grapheme clusters; an editor and the text above want bytes.
	x.Column = start - from + 1
	x.width = max(min(r.End.Byte, to)-start, 0)
	if to-from > maxLine {
		from = max(start-maxLine/4, from)
		to = min(from+maxLine, to)
	}
	x.from = start - from
	x.Source = strings.TrimRight(strings.ToValidUTF8(string(f.Bytes[from:to]), "?"), "\r")
	if nav, ok := f.Nav.(interface{ ContextString(offset int) string }); ok {
		x.Context = nav.ContextString(r.Start.Byte)
	}
}
