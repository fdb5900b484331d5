package sdk

import (
	"fmt"
	"strings"
	"unicode/utf8"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// Bounds on what one result may carry. What is more is cut.
const (
	maxReason = 512 // bytes
	maxValues = 16
	maxName   = 64 // bytes of a value's name
)

// Result is what one run of a check found. Make it with [Pass], [Warnf], [Fail], [Failf] or [Errorf]; the zero value is an
// error, since a check that says nothing has found nothing.
type Result struct {
	status pluginv1.Status
	reason string
	weight *uint32
	values map[string]float64
}

// Pass says that the target is well.
func Pass() Result { return Result{status: pluginv1.Status_PASS} }

// Warnf says that the target is well, with something that an operator should look at. It counts as a pass.
func Warnf(format string, args ...any) Result {
	return Result{status: pluginv1.Status_WARN, reason: fmt.Sprintf(format, args...)}
}

// Fail says that the target failed: it counts towards taking it out of service. A nil error is a pass. A trouble of this node
// ([Local]) is no failure of the target, but a check that could not be made, as with [Errorf].
func Fail(err error) Result {
	switch {
	case err == nil:
		return Pass()
	case Local(err):
		return Errorf("%v", err)
	}
	return Result{status: pluginv1.Status_FAIL, reason: err.Error()}
}

// Failf is [Fail] with a formatted reason.
func Failf(format string, args ...any) Result {
	return Result{status: pluginv1.Status_FAIL, reason: fmt.Sprintf(format, args...)}
}

// Errorf says that the check could not be made: a missing file, a name that does not resolve, a fault of the plugin's own.
// It says nothing about the target, which stays as it was.
func Errorf(format string, args ...any) Result {
	return Result{status: pluginv1.Status_ERROR, reason: fmt.Sprintf(format, args...)}
}

// Weight asks for a weight of the target, from 0. It takes effect where the configuration lets the check set it.
func (r Result) Weight(n int) Result {
	w := uint32(min(max(n, 0), 65535))
	r.weight = &w
	return r
}

// Value adds a figure for the metrics, at most 16 per result.
func (r Result) Value(name string, v float64) Result {
	values := make(map[string]float64, len(r.values)+1)
	for n, old := range r.values {
		values[n] = old
	}
	values[name] = v
	r.values = values
	return r
}

// Status is "pass", "warn", "fail" or "error".
func (r Result) Status() string {
	if r.status == pluginv1.Status_STATUS_UNSPECIFIED {
		return "error"
	}
	return strings.ToLower(r.status.String())
}

// Reason says why, in the operator's words; empty for a plain pass.
func (r Result) Reason() string { return r.reason }

// String is the result as one line: "fail: connection refused".
func (r Result) String() string {
	if r.reason == "" {
		return r.Status()
	}
	return r.Status() + ": " + r.reason
}

// proto is the result as it travels: cut to its bounds and clean of invalid text, which would end the stream.
func (r Result) proto(id uint32) *pluginv1.Result {
	if r.status == pluginv1.Status_STATUS_UNSPECIFIED {
		r = Errorf("the check returned no result")
	}
	p := &pluginv1.Result{Id: id, Status: r.status, Reason: clean(r.reason, maxReason), Weight: r.weight}
	for name, v := range r.values {
		if len(p.Values) == maxValues {
			break
		}
		if p.Values == nil {
			p.Values = make(map[string]float64)
		}
		p.Values[clean(name, maxName)] = v
	}
	return p
}

// clean makes s valid UTF-8 of at most n bytes, cut between two characters.
func clean(s string, n int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
