package conformance

import (
	"encoding/json"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// sample makes a configuration up: what is required and nothing else.
func sample(s *pluginv1.Schema) json.RawMessage {
	text, err := json.Marshal(sampleObject(s))
	if err != nil { // a limit that is no number
		return json.RawMessage("{}")
	}
	return text
}

func sampleObject(s *pluginv1.Schema) map[string]any {
	out := map[string]any{}
	for _, a := range s.GetAttributes() {
		if a.GetRequired() {
			out[a.GetName()] = sampleValue(a)
		}
	}
	for _, b := range s.GetBlocks() {
		if b.GetMinItems() == 0 {
			continue
		}
		one := sampleObject(b.GetSchema())
		for _, label := range b.GetLabels() {
			one[label] = "sample"
		}
		if b.GetMaxItems() == 1 {
			out[b.GetName()] = one
			continue
		}
		var all []any
		for range b.GetMinItems() {
			all = append(all, one)
		}
		out[b.GetName()] = all
	}
	return out
}

func sampleValue(a *pluginv1.Attribute) any {
	collection, element := split(a.GetType())
	one := sampleScalar(a, element)
	switch collection {
	case "list", "set":
		return []any{one}
	case "map":
		return map[string]any{"sample": one}
	}
	return one
}

func sampleScalar(a *pluginv1.Attribute, t string) any {
	n := max(a.GetMin(), 1)
	if a.Max != nil {
		n = min(n, a.GetMax())
	}
	switch t {
	case "bool":
		return false
	case "int":
		return int64(n)
	case "number":
		return n
	case "duration":
		return "1s"
	case "address":
		return "127.0.0.1"
	case "endpoint":
		return "127.0.0.1:9"
	case "prefix":
		return "127.0.0.0/8"
	}
	if len(a.GetOneOf()) > 0 {
		return a.GetOneOf()[0]
	}
	return "sample"
}
