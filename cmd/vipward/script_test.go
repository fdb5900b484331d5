package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"vipward": main})
}

// TestScripts runs the sessions below testdata/script. They find the pair's configuration as pair.hcl, all sample
// configurations in $CONFIGS and the bundled plugins in $PLUGINS. Besides testscript's commands there are:
//
//	code N COMMAND ARG...          the command ends with the exit code N
//	wrong LINE OLD NEW PATTERN...  pair.hcl with NEW instead of OLD is refused, with a fault in that line, and with text that
//	                               matches each of the patterns; \n in OLD and NEW is a new line
//	until PATTERN COMMAND ARG...   the command is run until what it prints matches the pattern
//	warns LINE OLD NEW PATTERN...  the same, and the fault is only a warning
func TestScripts(t *testing.T) {
	plugins, configs := buildPlugins(t), absolute(t, "../../configs")
	testscript.Run(t, testscript.Params{
		Dir:             "testdata/script",
		ContinueOnError: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("PLUGINS", plugins)
			e.Setenv("CONFIGS", configs)
			pair, err := os.ReadFile(filepath.Join(configs, "pair-dr.hcl"))
			if err != nil {
				return err
			}
			// The notifier's command is not on this machine, of which the plugin would warn.
			pair = bytes.Replace(pair, []byte("/usr/local/bin/notify.sh"), []byte("/bin/true"), 1)
			return os.WriteFile(filepath.Join(e.WorkDir, "pair.hcl"), pair, 0o600)
		},
		Condition: func(name string) (bool, error) { return name == "root" && os.Geteuid() == 0, nil },
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code":  func(ts *testscript.TestScript, _ bool, args []string) { expectCode(ts, args[0], args[1:]) },
			"wrong": func(ts *testscript.TestScript, _ bool, args []string) { expectFault(ts, "3", args) },
			"until": func(ts *testscript.TestScript, _ bool, args []string) { expectSoon(ts, args[0], args[1:]) },
			"warns": func(ts *testscript.TestScript, _ bool, args []string) { expectFault(ts, "0", args) },
		},
	})
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	abs, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}

// buildPlugins builds the bundled plugins into a folder.
func buildPlugins(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	all := filepath.Join(dir, "vipward-plugins")
	if out, err := exec.Command("go", "build", "-o", all, "../vipward-plugins").CombinedOutput(); err != nil {
		t.Fatalf("build the plugins: %v\n%s", err, out)
	}
	usage, _ := exec.Command(all).CombinedOutput() // its last line lists them
	_, names, _ := strings.Cut(string(usage), "bundled: ")
	for _, name := range strings.Split(strings.TrimSpace(names), ", ") {
		if err := os.Link(all, filepath.Join(dir, "vipward-plugin-"+name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func expectCode(ts *testscript.TestScript, code string, command []string) {
	got := 0
	if err := ts.Exec(command[0], command[1:]...); err != nil {
		e, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v: %v", command, err)
		}
		got = e.ExitCode()
	}
	if fmt.Sprint(got) != code {
		ts.Fatalf("%v ends with the code %d, want %s", command, got, code)
	}
}

// patience is for a machine that does much else.
const patience = 30 * time.Second

func expectSoon(ts *testscript.TestScript, pattern string, command []string) {
	want := regexp.MustCompile(pattern)
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		_ = ts.Exec(command[0], command[1:]...) // it may fail until the daemon is there
		switch text := ts.ReadFile("stdout"); {
		case want.MatchString(text):
			return
		case time.Now().After(end):
			ts.Fatalf("%v does not print %q:\n%s%s", command, pattern, text, ts.ReadFile("stderr"))
		}
	}
}

func expectFault(ts *testscript.TestScript, code string, args []string) {
	if len(args) < 4 {
		ts.Fatalf("usage: wrong LINE OLD NEW PATTERN...")
	}
	line, patterns := args[0], args[3:]
	before, after := strings.ReplaceAll(args[1], `\n`, "\n"), strings.ReplaceAll(args[2], `\n`, "\n")
	text := ts.ReadFile("pair.hcl")
	if strings.Count(text, before) != 1 {
		ts.Fatalf("%q is %d times in pair.hcl", before, strings.Count(text, before))
	}
	ts.Check(os.WriteFile(ts.MkAbs("web.hcl"), []byte(strings.Replace(text, before, after, 1)), 0o600))
	expectCode(ts, code, []string{"vipward", "validate", "--plugin-dir", ts.Getenv("PLUGINS"), "web.hcl"})
	// The text is wrapped where the line is full; a pattern must not depend on it.
	stderr := strings.Join(strings.Fields(ts.ReadFile("stderr")), " ")
	for _, p := range append([]string{"web.hcl line " + line + `\b`}, patterns...) {
		if !regexp.MustCompile(p).MatchString(stderr) {
			ts.Fatalf("with %q the output does not match %q:\n%s", after, p, ts.ReadFile("stderr"))
		}
	}
}
