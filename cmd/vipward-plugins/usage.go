package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// usage says what there is.
func usage(name string) string {
	var b strings.Builder
	if name != "" {
		fmt.Fprintf(&b, "no bundled plugin %q\n", name)
	}
	fmt.Fprintf(&b, "usage: vipward-plugins NAME, or by a link named vipward-plugin-NAME\nbundled: %s\n",
		strings.Join(slices.Sorted(maps.Keys(bundled())), ", "))
	return b.String()
}
