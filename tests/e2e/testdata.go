package e2e

import "embed"

//go:embed testdata
var testdata embed.FS
