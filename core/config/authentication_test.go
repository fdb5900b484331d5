package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vipward/vipward/core/vrrp"
)

const (
	aVIP    = `  virtual_address "10.0.0.100/32" {}`
	hexKey  = "hex:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
	textKey = "correct horse battery staple and more"
)

// signed is an instance whose block authentication, on line 5, holds the text.
func signed(text string) string {
	return instanceWith("web", aVIP+"\n  authentication {\n"+text+"\n  }")
}

// keyFile makes a file with a key.
func keyFile(t *testing.T, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "vrrp.key")
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func secretOf(s vrrp.Secret) string { return string(s) }

func TestKeys(t *testing.T) {
	raw := strings.Join([]string{"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f", "\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f"}, "")
	file := keyFile(t, hexKey+"\n", 0o600)
	for _, c := range []struct {
		name, text string
		want       vrrp.Auth
	}{
		{"a key in hexadecimal", `type = "hmac"` + "\n" + `key = "` + hexKey + `"`, vrrp.Auth{Keys: []vrrp.Key{{ID: 1, Secret: vrrp.Secret(raw)}}}},
		{"a key in a file", `type = "hmac"` + "\n" + `key_file = "` + file + `"`, vrrp.Auth{Keys: []vrrp.Key{{ID: 1, Secret: vrrp.Secret(raw)}}}},
		{
			"everything", "type = \"hmac\"\nkey_id = 7\nmode = \"permissive\"\nwindow = \"20s\"\nkey = \"" + textKey + "\"\naccept \"6\" { key = \"" + hexKey + "\" }",
			vrrp.Auth{Mode: vrrp.AuthPermissive, Window: 20 * time.Second, Keys: []vrrp.Key{{ID: 7, Secret: textKey}, {ID: 6, Secret: vrrp.Secret(raw)}}},
		},
		{"receive-only", "type = \"hmac\"\nmode = \"receive-only\"\nkey = \"" + textKey + "\"", vrrp.Auth{Mode: vrrp.AuthReceiveOnly, Keys: []vrrp.Key{{ID: 1, Secret: textKey}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := mustLoad(t, signed(c.text), "a").Node.Instances[0].VRRP.Auth
			if d := cmp.Diff(c.want, got, cmp.Transformer("secret", secretOf)); d != "" {
				t.Errorf("authentication (-want +got):\n%s", d)
			}
		})
	}
}

func TestKeysThatAreRefused(t *testing.T) {
	hmac := func(text string) string { return signed("type = \"hmac\"\n" + text) }
	key := `key = "` + textKey + `"`
	for _, c := range []struct {
		name, text string
		line       int
		want       string
	}{
		{"AH", signed(`type = "AH"`), 6, "Write type = \"hmac\" with key_file"},
		{"another type", signed(`type = "md5"`), 6, `It is one of "pass" and "hmac"`},
		{"no key", hmac(""), 5, "authentication has no key"},
		{"a key that is too short", hmac(`key = "hunter2"`), 5, "A key has 32 to 64 bytes"},
		{"a key that is too long", hmac(`key = "hex:` + strings.Repeat("0", 130) + `"`), 5, "This has 65 bytes"},
		{"a key that is not hexadecimal", hmac(`key = "hex:hunter2"`), 5, "is not hexadecimal"},
		{"a key and a file", hmac(key + "\nkey_file = \"/x\""), 5, "has key and key_file"},
		{"a key and a password", hmac(key + "\npassword = \"hunter2\""), 5, `authentication has password, which is for type = "pass"`},
		{"a password in version 3", signed("type = \"pass\"\npassword = \"hunter2\""), 5, `Use type = "hmac"`},
		{"a password that is too long", strings.Replace(signed("type = \"pass\"\npassword = \"hunter2 and more\""), "  virtual_a", "  version = 2\n  virtual_a", 1), 6, "password is too long"},
		{"a key with a password's type", strings.Replace(signed("type = \"pass\"\npassword = \"hunter2\"\n"+key), "  virtual_a", "  version = 2\n  virtual_a", 1), 6, `has key, which is for type = "hmac"`},
		{"an identifier of 0", hmac(key + "\nkey_id = 0"), 8, "A key identifier is 1 to 255"},
		{"an identifier that is none", hmac(key + "\naccept \"old\" { key = \"" + hexKey + "\" }"), 8, `"old" is no key identifier`},
		{"an identifier twice", hmac(key + "\naccept \"1\" { key = \"" + hexKey + "\" }"), 8, "key identifier 1 is used twice"},
		{"a mode", hmac(key + "\nmode = \"enforced\""), 8, `Did you mean "enforce"?`},
		{"a window", hmac(key + "\nwindow = \"10m\""), 8, "1s to 300s"},
		{"a file that is not there", hmac(`key_file = "/nowhere/vrrp.key"`), 7, "no such file"},
		{"a file that is none", hmac(`key_file = "/dev/null"`), 7, "no regular file"},
		{"a file that others can read", hmac(fmt.Sprintf("key_file = %q", keyFile(t, hexKey, 0o644))), 7, "run chmod 600"},
		{"a file that others can write", hmac(fmt.Sprintf("key_file = %q", keyFileOf(t, 0o602))), 7, "run chmod 600"},
		{"a file without a key", hmac(fmt.Sprintf("key_file = %q", keyFile(t, "\n", 0o600))), 5, "This has 0 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, diags := loadText(t, c.text, Options{Node: "a", Plugins: plugins()})
			if text := textOf(diags); strings.Contains(text, "hunter2") || strings.Contains(text, "correct horse") {
				t.Errorf("a secret is shown:\n%s", text)
			}
			for _, d := range diags {
				if d.Line == c.line && strings.Contains(flat(Diagnostics{d}), c.want) {
					return
				}
			}
			t.Errorf("no diagnostic on line %d with %q:\n%s", c.line, c.want, textOf(diags))
		})
	}
}

// keyFileOf is a file with just that mode, whatever the umask.
func keyFileOf(t *testing.T, mode os.FileMode) string {
	path := keyFile(t, hexKey, 0o600)
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestASecretDoesNotPrint(t *testing.T) {
	c := mustLoad(t, signed(`type = "hmac"`+"\n"+`key = "`+textKey+`"`), "a")
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		if s := fmt.Sprintf(verb, c.Node); strings.Contains(s, "horse") || strings.Contains(s, "686f727365") {
			t.Errorf("%s prints the key: %s", verb, s)
		}
	}
}
