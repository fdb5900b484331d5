package config

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// What could not be evaluated is reported once: that the rest of the attribute's rules are broken as well is an echo.
func TestAnAttributeThatCannotBeHadIsReportedOnce(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"a name that is not there", "interface = local.lan", "there is no local.lan"},
		{"a function that is not there", `interface = uper("eth0")`, "Call to unknown function"},
		{"a file that is not there", `interface = file("none")`, "Invalid function argument"},
		{"a value of the wrong type", "interface = [1]", "interface is not a text in quotes"},
		{"a map that leaves this node out", `interface = { lb2 = "eth0" }`, `interface leaves out the node "lb1"`},
		{"an attribute of a plugin", "interface = \"eth0\"\n track \"script\" { command = local.lan }", "there is no local.lan"},
		{"a list", "interface = \"eth0\"\n unicast { peers = local.lan }", "there is no local.lan"},
		{"a name that is looked for", "interface = \"eth0\"\n track \"checker\" { name = local.lan }", "there is no local.lan"},
	} {
		text := strings.Replace(pairWith("virtual_address \"10.0.0.100/32\" {}\n}\n"), `interface         = "eth0"`, tt.text, 1)
		_, diags := loadText(t, text, Options{Node: "lb1", Plugins: plugins()})
		if errors, _ := diags.Counts(); errors != 1 || !strings.Contains(textOf(diags), tt.want) {
			t.Errorf("%s: want one error, %q:\n%s", tt.name, tt.want, textOf(diags))
		}
	}
}

func TestAMisspelledNameIsSuggestedEvenWhereItIsGivenAlready(t *testing.T) {
	for text, want := range map[string]string{
		"prioritty = 3":                     `Did you mean "priority"?`,
		"virtual_adress \"10.0.0.1/32\" {}": `Did you mean "virtual_address"?`,
		"nonsense = 3":                      "Its attributes are interface,",
	} {
		_, diags := loadText(t, pairWith("virtual_address \"10.0.0.100/32\" {}\n"+text+"\n}\n"), Options{Node: "lb1", Plugins: plugins()})
		if len(diags) != 1 || !strings.Contains(strings.Join(strings.Fields(textOf(diags)), " "), want) {
			t.Errorf("%s: want %q:\n%s", text, want, textOf(diags))
		}
	}
}

func TestNobodyWaitsForAPipe(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"x.hcl", "fifo"} {
		if err := syscall.Mkfifo(filepath.Join(dir, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, diags := Load(t.Context(), dir, Options{Node: "lb1", Plugins: plugins()})
	if len(diags) != 1 || !strings.Contains(textOf(diags), "it is a pipe that nobody writes to") {
		t.Errorf("a pipe as the configuration:\n%s", textOf(diags))
	}
	if err := os.Remove(filepath.Join(dir, "x.hcl")); err != nil {
		t.Fatal(err)
	}
	text := "arbitration { key_file = \"" + filepath.Join(dir, "fifo") + "\" }\nlocals {\n a = file(\"" + filepath.Join(dir, "fifo") + "\")\n}\n"
	_, diags = loadText(t, text, Options{Plugins: plugins()})
	for _, want := range []string{"fifo is no regular file", "it is a pipe that nobody writes to"} {
		if !strings.Contains(textOf(diags), want) {
			t.Errorf("want %q:\n%s", want, textOf(diags))
		}
	}
}

func TestAnEmptyConfigurationIsWarnedOf(t *testing.T) {
	_, diags := loadText(t, "# nothing\n", Options{Plugins: plugins()})
	expect(t, "a comment", diags, 1, "Warning: the configuration is empty")
}

func TestAFileThatIsNoTextIsOneFault(t *testing.T) {
	_, diags := loadText(t, "# fine\nnode \"l\xfcbeck\" {}\n\xff\xfe\xfd\n", Options{Plugins: plugins()})
	expect(t, "Latin-1", diags, 2, "Error: the file is not UTF-8")
	if diags[0].Column != 8 || !strings.Contains(textOf(diags), "0xfc") {
		t.Errorf("it is said of column %d:\n%s", diags[0].Column, textOf(diags))
	}
}

func TestAVariableThatIsSetToSomethingElse(t *testing.T) {
	for kind, want := range map[string]string{"number": "like 5.", "bool": "like true.", "list(string)": `like ["a", "b"].`, "map(string)": `like { a = "b" }.`} {
		_, diags := loadText(t, "variable \"x\" { type = "+kind+" }\n", Options{
			Plugins: plugins(), Environ: func(string) (string, bool) { return "abc", true },
		})
		expect(t, kind, diags, 1, want)
	}
}
