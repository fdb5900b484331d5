//go:build servers

package file

import (
	"fmt"
	"testing"
)

func TestConformance(t *testing.T) {
	checker(t, fmt.Sprintf(`{"path": %q}`, write(t, "0"))).Conformance()
}
