package config

import (
	"testing"
	"time"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

func TestHowLongEventsAreGatheredForANotifier(t *testing.T) {
	declares := func(typ, standard string) *pluginv1.Schema {
		return &pluginv1.Schema{Attributes: []*pluginv1.Attribute{
			{Name: "server", Type: "string"}, {Name: "batch", Type: typ, DefaultJson: standard},
		}}
	}
	for _, tt := range []struct {
		name   string
		schema *pluginv1.Schema
		own    string
		folds  bool
		batch  time.Duration
	}{
		{"a plugin that does not fold", &pluginv1.Schema{}, `{}`, false, 0},
		{"a plugin that could not be asked", nil, ``, false, 0},
		{"an attribute of the name that is none of time", declares("int", "5"), `{"batch": 3}`, false, 0},
		{"the plugin's default", declares("duration", `"2s"`), `{"server": "a"}`, true, 2 * time.Second},
		{"the same where the block says null", declares("duration", `"2s"`), `{"batch": null}`, true, 2 * time.Second},
		{"no default", declares("duration", ""), `{}`, true, 0},
		{"what the operator writes", declares("duration", `"2s"`), `{"batch": "1m"}`, true, time.Minute},
		{"nothing at all, in words", declares("duration", `"2s"`), `{"batch": "0s"}`, true, 0},
	} {
		if folds, batch := batchOf(tt.schema, []byte(tt.own)); folds != tt.folds || batch != tt.batch {
			t.Errorf("%s: batchOf = %v, %v, want %v, %v", tt.name, folds, batch, tt.folds, tt.batch)
		}
	}
}
