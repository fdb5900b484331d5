package execd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/vipward/vipward/sdk"
)

// maxValues is how many figures of an answer go into a result, beside the two of the co-process; see [sdk.Result.Value].
const maxValues = 14

// question is a line on the stdin of the co-process.
type question struct {
	ID        uint64 `json:"id"`
	Target    string `json:"target"`
	Address   string `json:"address"` // empty for a check of the node itself
	Port      uint16 `json:"port"`    // 0 for none
	TimeoutMS int64  `json:"timeout_ms"`
}

// questionOf is the question about a target, without its id. The time runs from now.
func questionOf(ctx context.Context, t sdk.Target) question {
	deadline, _ := ctx.Deadline()
	q := question{Target: t.Name, TimeoutMS: time.Until(deadline).Round(time.Millisecond).Milliseconds()}
	if t.Address.IsValid() {
		q.Address, q.Port = t.Address.Addr().String(), t.Address.Port()
	}
	return q
}

// answer is a line on the stdout of the co-process.
type answer struct {
	ID     uint64             `json:"id"`
	Status string             `json:"status"`
	Reason string             `json:"reason"`
	Weight *int               `json:"weight"`
	Values map[string]float64 `json:"values"`
}

// parse reads an answer. A line with an error may have an id all the same; then the result says that the check could not be made.
func parse(line []byte, cut bool) (uint64, sdk.Result, error) {
	var a answer
	err := json.Unmarshal(line, &a)
	switch {
	case cut:
		err = fmt.Errorf("longer than %d bytes", maxLine)
	case err != nil:
		err = fmt.Errorf("no answer in JSON: %w", err)
	case a.Weight != nil && (*a.Weight < 0 || *a.Weight > 65535):
		err = fmt.Errorf("weight %d is not in 0 to 65535", *a.Weight)
	}
	var r sdk.Result
	if err == nil {
		r, err = a.result()
	}
	if err != nil {
		return a.ID, sdk.Errorf("answer of the co-process: %v", err), err
	}
	if a.Weight != nil {
		r = r.Weight(*a.Weight)
	}
	names := slices.Sorted(maps.Keys(a.Values))
	for _, name := range names[:min(len(names), maxValues)] {
		r = r.Value(name, a.Values[name])
	}
	return a.ID, r, nil
}

// result is the verdict of an answer, without its weight and values.
func (a *answer) result() (sdk.Result, error) {
	reason := a.Reason
	if reason == "" {
		reason = "the co-process gave no reason"
	}
	switch a.Status {
	case "pass":
		return sdk.Pass(), nil
	case "warn":
		return sdk.Warnf("%s", reason), nil
	case "fail":
		return sdk.Fail(errors.New(reason)), nil
	case "error":
		return sdk.Errorf("%s", reason), nil
	}
	return sdk.Result{}, fmt.Errorf("status %q is not one of pass, warn, fail, error", a.Status)
}
