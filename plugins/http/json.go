package http

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// jsonValue is a value that a body must have at a path: names of an object and numbers of a list, with dots between them. A dot
// of a name is written "\.".
type jsonValue struct {
	path  string
	steps []string
	want  string
}

// jsonValues reads what is configured, sorted by path.
func jsonValues(want map[string]string) ([]jsonValue, error) {
	var all []jsonValue
	for _, path := range slices.Sorted(maps.Keys(want)) {
		v := jsonValue{path: path, want: want[path], steps: jsonSteps(path)}
		if slices.Contains(v.steps, "") {
			return nil, fmt.Errorf(`%q is no path: write names with dots between them, as "status" or "nodes.0.state"`, path)
		}
		all = append(all, v)
	}
	return all, nil
}

func jsonSteps(path string) []string {
	const dot = "\x00"
	steps := strings.Split(strings.ReplaceAll(path, `\.`, dot), ".")
	for i := range steps {
		steps[i] = strings.ReplaceAll(steps[i], dot, ".")
	}
	return steps
}

// judgeJSON says which value a body lacks; nothing when it has all.
func judgeJSON(body []byte, want []jsonValue) string {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var root any
	if err := d.Decode(&root); err != nil {
		return fmt.Sprintf("the body is no JSON: %v", err)
	}
	for _, v := range want {
		got, err := v.find(root)
		if err != nil {
			return fmt.Sprintf("JSON %s: %v", v.path, err)
		}
		if text := jsonText(got); text != v.want && !sameNumber(got, v.want) {
			return fmt.Sprintf("JSON %s is %q, want %q", v.path, excerpt(text), v.want)
		}
	}
	return ""
}

func (v jsonValue) find(x any) (any, error) {
	for _, step := range v.steps {
		switch in := x.(type) {
		case map[string]any:
			inner, ok := in[step]
			if !ok {
				return nil, fmt.Errorf("there is no %q", step)
			}
			x = inner
		case []any:
			n, err := strconv.Atoi(step)
			if err != nil || n < 0 || n >= len(in) {
				return nil, fmt.Errorf("there is no element %q in a list of %d", step, len(in))
			}
			x = in[n]
		default:
			return nil, fmt.Errorf("there is no %q in a single value", step)
		}
	}
	return x, nil
}

// jsonText is a text without its quotes, anything else as JSON.
func jsonText(x any) string {
	if s, ok := x.(string); ok {
		return s
	}
	text, _ := json.Marshal(x) // it was JSON before
	return string(text)
}

// sameNumber tells whether a number is the one that is wanted, however the two are written: 1.0 is 1.
func sameNumber(x any, want string) bool {
	n, ok := x.(json.Number)
	a, err1 := n.Float64()
	b, err2 := strconv.ParseFloat(want, 64)
	return ok && errors.Join(err1, err2) == nil && a == b
}

// excerpt is the beginning of a text for a reason.
func excerpt(s string) string {
	const most = 80 // bytes
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
