// Package config turns HCL text into a [Config]: decoded, defaulted, cross-checked, with diagnostics that carry the place
// in the source. It is the only importer of HCL in core, starts nothing and keeps nothing.
package config
