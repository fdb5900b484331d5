//go:build servers

package udp

import "testing"

func TestConformance(t *testing.T) { checker(t, `{}`).Conformance() }
