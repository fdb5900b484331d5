package guest

import (
	"cmp"
	"strconv"
	"strings"
)

// compareVersions orders kernel versions such as 6.1.9 and 6.1.176 by their numbers.
func compareVersions(a, b string) int {
	as, bs := strings.FieldsFunc(a, notDigit), strings.FieldsFunc(b, notDigit)
	for i := range min(len(as), len(bs)) {
		x, _ := strconv.Atoi(as[i])
		y, _ := strconv.Atoi(bs[i])
		if c := cmp.Compare(x, y); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(as), len(bs))
}

func notDigit(r rune) bool { return r < '0' || r > '9' }
