package config

import (
	"encoding/json"
	"time"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// batchOf is for how long events are gathered for a notifier, from its own part of the block. folds is false for a plugin that does
// not declare the attribute: it is told of one event at a time.
func batchOf(s *pluginv1.Schema, own json.RawMessage) (folds bool, batch time.Duration) {
	for _, a := range s.GetAttributes() {
		if a.GetName() != "batch" || a.GetType() != "duration" {
			continue
		}
		var given struct{ Batch *string }
		text := ""
		if json.Unmarshal(own, &given) == nil && given.Batch != nil {
			text = *given.Batch
		} else if a.GetDefaultJson() != "" {
			_ = json.Unmarshal([]byte(a.GetDefaultJson()), &text) // what is no text is no duration either
		}
		batch, _ = time.ParseDuration(text) // the plugin has refused what is none
		return true, max(batch, 0)
	}
	return false, 0
}
