package config

import (
	"context"
	"encoding/json"
	"path/filepath"

	"github.com/hashicorp/hcl/v2"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// Inside reads the file at path as the inside of a plugin's block, without vipward's own attributes: what the schema declares.
// The result is the object that travels to the plugin; nil where the diagnostics have errors. environ looks a variable up for
// the function env, like [os.LookupEnv]; nil for none.
func Inside(
	ctx context.Context, path string, schema *pluginv1.Schema, environ func(string) (string, bool),
) (json.RawMessage, Diagnostics) {
	sources, _, read := readSources(path)
	var object map[string]any
	_, diags := loaded(ctx, sources, read, Options{Environ: environ}, func(l *loading) {
		if !l.resolveScopes() || len(sources) != 1 {
			return
		}
		file := sources[0]
		at := hcl.Range{Filename: file.name, Start: hcl.InitialPos, End: hcl.InitialPos}
		block := &hcl.Block{Type: filepath.Base(file.name), Body: file.hcl.Body, DefRange: at}
		object = l.open(kid{block, file}, schemaSpec(schema), false).object(schema)
	})
	if diags.HasErrors() {
		return nil, diags
	}
	text, err := json.Marshal(object)
	if err != nil {
		panic(err) // texts, numbers and collections of these
	}
	return text, diags
}
