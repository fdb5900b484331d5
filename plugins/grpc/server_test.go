//go:build servers

package grpc

import "testing"

func TestConformance(t *testing.T) { checker(t, `{}`).Conformance() }
