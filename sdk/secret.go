package sdk

import (
	"fmt"
	"io"
)

// Secret is a password or key of a configuration. However it is printed, logged or encoded, it shows as "***"; convert it
// to a string where the value itself is needed.
type Secret string

const masked = "***"

// Format prints the mask, whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, masked) }

// String is the mask.
func (s Secret) String() string { return masked }

// MarshalText gives the mask, for JSON and for log handlers.
func (s Secret) MarshalText() ([]byte, error) { return []byte(masked), nil }
