package file

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/plugintest"
)

func checker(t *testing.T, config string) plugintest.CheckerTest {
	t.Helper()
	return plugintest.Checker(t, "file", check, summary()).Config(config)
}

// write makes a file with a text and returns its path.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "value")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAValueIsAState(t *testing.T) {
	for _, tt := range []struct{ name, text, config, want string }{
		{"0 is up", "0\n", ``, "pass"},
		{"another number is down", "1\n", ``, "fail: FILE says 1, want 0"},
		{"only the first line counts", " 0 \nsince Monday\n", ``, "pass"},
		{"a range", "50", `"up": ["1..100"]`, "pass"},
		{"both of its ends", "100", `"up": ["1..100"]`, "pass"},
		{"above a range", "100.5", `"up": ["1..100"]`, "fail: FILE says 100.5, want 1..100"},
		{"below a range of negative numbers", "-11", `"up": ["-10..-5", "3.."]`, "fail: FILE says -11, want -10..-5, 3.."},
		{"a range without an end", "4000", `"up": ["-10..-5", "3.."]`, "pass"},
		{"a range without a beginning", "-1e3", `"up": ["..0"]`, "pass"},
		{"a word", "up\n", `"up": ["up", "1"]`, "pass"},
		{"a number beside a word", "1\n", `"up": ["up", "1"]`, "pass"},
		{"another word", "maintenance\n", `"up": ["up", "1"]`, `fail: FILE says "maintenance", want up, 1`},
		{"a word where there are numbers only", "banana\n", ``, `error: FILE says "banana", which is no number`},
		{"no number at all", "NaN", `"up": ["0.."]`, `error: FILE says "NaN", which is no number`},
		{"garbage", "\xff\xfe\x00", ``, `error: FILE says "?\x00", which is no number`},
		{"a long line", strings.Repeat("a", 100), ``, `error: FILE says "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"…, which is no number`},
		{"nothing, as while it is written", "", ``, "error: FILE is empty"},
		{"too much", strings.Repeat("0", maxFile+1), ``, "error: FILE is longer than 4096 bytes"},
	} {
		path := write(t, tt.text)
		config := fmt.Sprintf(`{"path": %q}`, path)
		if tt.config != "" {
			config = fmt.Sprintf(`{"path": %q, %s}`, path, tt.config)
		}
		if got, want := checker(t, config).Against("").String(), strings.ReplaceAll(tt.want, "FILE", path); got != want {
			t.Errorf("%s: %s, want %s", tt.name, got, want)
		}
	}
	path := write(t, "7")
	checker(t, fmt.Sprintf(`{"path": %q, "up": ["7"]}`, path)).Against("").Pass().Value("value", 7)
}

func TestAValueIsAWeight(t *testing.T) {
	for _, tt := range []struct {
		name, text, config string
		want               uint32
	}{
		{"as it is", "120", ``, 120},
		{"rounded", "2.5", ``, 3},
		{"with a factor and a base, as keepalived's dynamic FILE_CHECK", "-3", `, "factor": 10, "base": 100`, 70},
		{"never below 0", "-3", ``, 0},
		{"never above 65535", "1e9", ``, 65535},
		{"within what is up", "5", `, "up": ["1..10"]`, 5},
	} {
		config := fmt.Sprintf(`{"path": %q, "as": "weight"%s}`, write(t, tt.text), tt.config)
		checker(t, config).Against("10.0.0.1:80").Pass().Weight(tt.want)
	}
	path := write(t, "11")
	config := fmt.Sprintf(`{"path": %q, "as": "weight", "up": ["1..10"]}`, path)
	if got, want := checker(t, config).Against("10.0.0.1:80").String(), "fail: "+path+" says 11, want 1..10"; got != want {
		t.Errorf("outside of what is up: %s, want %s", got, want)
	}
	path = write(t, "much")
	config = fmt.Sprintf(`{"path": %q, "as": "weight"}`, path)
	if got, want := checker(t, config).Against("").String(), `error: `+path+` says "much", which is no number`; got != want {
		t.Errorf("a weight that is none: %s, want %s", got, want)
	}
}

func TestAFileThatIsNotThere(t *testing.T) {
	dir := t.TempDir()
	gone := filepath.Join(dir, "gone")
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, path, config, want string }{
		{"is no verdict", gone, ``, "error: there is no file " + gone},
		{"is down", gone, `, "missing": "down"`, "fail: there is no file " + gone},
		{"is up", gone, `, "missing": "up"`, "pass"},
		{"and is a folder", dir, `, "missing": "down"`, "error: " + dir + " is no regular file"},
		{"and is a pipe without a writer", pipe, `, "missing": "down"`, "error: " + pipe + " is no regular file"},
		{"and whose folder is a file", write(t, "0") + "/x", `, "missing": "down"`, "error: open "},
	} {
		got := checker(t, fmt.Sprintf(`{"path": %q%s}`, tt.path, tt.config)).Against("").String()
		if got != tt.want && (tt.want != "error: open " || !strings.HasSuffix(got, "not a directory")) {
			t.Errorf("a file that is not there %s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestAFileThatNobodyWritesAnyMore(t *testing.T) {
	path := write(t, "0")
	if err := os.Chtimes(path, time.Time{}, time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ config, want string }{
		{``, "pass"},
		{`, "max_age": "2h"`, "pass"},
		{`, "max_age": "10m"`, "error: " + path + " was written 1h0m"},
		{`, "max_age": "10m", "stale": "down"`, "fail: " + path + " was written 1h0m"},
		{`, "max_age": "10m", "stale": "up"`, "pass"},
	} {
		got := checker(t, fmt.Sprintf(`{"path": %q%s}`, path, tt.config)).Against("").String()
		if !strings.HasPrefix(got, tt.want) || strings.Contains(tt.want, "written") && !strings.HasSuffix(got, "s ago, want at most 10m0s") {
			t.Errorf("%s: %s, want %s", tt.config, got, tt.want)
		}
	}
}

func TestAFileOfEachTarget(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"10.0.0.1-80": "0", "10.0.0.2-80": "1"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := checker(t, fmt.Sprintf(`{"path": %q}`, dir+"/{address}-{port}"))
	c.Against("10.0.0.1:80").Pass()
	c.Against("10.0.0.2:80").Fail("10.0.0.2-80 says 1, want 0")
	c.Against("10.0.0.3:80").Error("there is no file " + dir + "/10.0.0.3-80")
	c.Against("").Error("is for a real server: this node has no address")
}

func TestAFileSystemThatHangs(t *testing.T) {
	free := make(chan struct{})
	r := newReader(func(string) (content, error) {
		<-free
		return content{}, errors.New("at last")
	})
	c := Config{Path: "/nfs/state", files: r}
	for n := range maxReads + 2 {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		got, want := check(ctx, sdk.Target{}, c).String(), "error: read /nfs/state: not done in time"
		if n >= maxReads {
			want = "error: read /nfs/state: the reads before it have not come back"
		}
		cancel()
		if got != want {
			t.Errorf("read %d: %s, want %s", n, got, want)
		}
	}
	close(free)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if got, want := check(ctx, sdk.Target{}, c).String(), "error: at last"; got != want {
		t.Errorf("when it is back: %s, want %s", got, want)
	}
}

func TestConfiguration(t *testing.T) {
	checker(t, `{"path": "/run/vipward/maintenance"}`).Valid()
	checker(t, `{"path": "/run/w/{address}", "as": "weight", "up": ["1.."], "factor": 0.5, "base": 10, "max_age": "1m", "stale": "down"}`).Valid()
	for _, tt := range []struct{ config, path, want string }{
		{`{}`, "path", "required"},
		{`{"path": "state"}`, "path", "it is not absolute, and a plugin has no folder of its own"},
		{`{"path": "/run/{name}"}`, "path", "the placeholders are {address} and {port}"},
		{`{"path": "/a", "up": ["0", "9..1"]}`, "up[1]", `the range "9..1" is empty`},
		{`{"path": "/a", "up": ["a..b"]}`, "up[0]", `"a..b" is no range: write it like "1..10", "5.." or "..0"`},
		{`{"path": "/a", "up": [".."]}`, "up[0]", `".." is no range`},
		{`{"path": "/a", "up": [""]}`, "up[0]", `"" is no value: it is a number, a range or a word`},
		{`{"path": "/a", "as": "weight", "up": ["up"]}`, "up[0]", `"up" is no number, and a weight is one`},
		{`{"path": "/a", "factor": 2}`, "as", `factor and base are for as = "weight"`},
		{`{"path": "/a", "stale": "down"}`, "stale", "it says what becomes of a file that is older than max_age: set that"},
		{`{"path": "/a", "missing": "fault"}`, "missing", "is not one of error, up, down"},
	} {
		checker(t, tt.config).Invalid(tt.path, tt.want)
	}
}
