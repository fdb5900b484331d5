package engine

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vipward/vipward/core/config"
)

func TestReloadMovesTheLogOfEverybody(t *testing.T) {
	j, err := newJournal()
	if err != nil {
		t.Fatal(err)
	}
	early := j.logger().With("part", "early") // made before the configuration was known
	first, second := filepath.Join(t.TempDir(), "first"), filepath.Join(t.TempDir(), "second")
	set := func(c config.Log) {
		t.Helper()
		if err := j.set(c); err != nil {
			t.Fatal(err)
		}
	}
	set(config.Log{Output: first, Format: "text", Level: "warn"})
	early.Info("hidden")
	early.Warn("one")
	set(config.Log{Output: second, Format: "json", Level: "debug"})
	early.Debug("two")
	if got := content(t, first); strings.Contains(got, "hidden") || !strings.Contains(got, "msg=one part=early") {
		t.Errorf("the first log is %q", got)
	}
	if got := content(t, second); !strings.Contains(got, `"msg":"two","part":"early"`) {
		t.Errorf("the second log is %q", got)
	}
	if err := j.set(config.Log{Output: t.TempDir()}); err == nil {
		t.Error("a directory was accepted as a log")
	}
	early.Info("three")
	if got := content(t, second); !strings.Contains(got, "three") {
		t.Errorf("after a change that failed, the log is %q", got)
	}
}

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
