package guest

import "testing"

func TestCompareVersionsGoesByNumber(t *testing.T) {
	for _, tc := range []struct {
		newer, older string
	}{
		{"6.1.176", "6.1.9"},
		{"6.12.1", "6.1.176"},
		{"6.1.1", "6.1"},
	} {
		if compareVersions(tc.newer, tc.older) <= 0 || compareVersions(tc.older, tc.newer) >= 0 {
			t.Errorf("%s is not newer than %s", tc.newer, tc.older)
		}
	}
	if compareVersions("6.1.176", "6.1.176") != 0 {
		t.Errorf("6.1.176 differs from itself")
	}
}
