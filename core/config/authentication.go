package config

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/vipward/vipward/core/vrrp"
)

const (
	// minKey and maxKey are the lengths of keys in bytes that keepalived takes too.
	minKey, maxKey = 32, 64
	maxKeyFile     = 4096
)

// readAuthentication reads the password of version 2, or the keys of either version. What is wrong with a secret is reported at
// the block: the place of the secret itself would be printed with it.
func (i *instance) readAuthentication() {
	b := i.block.single("authentication", authenticationSpec())
	if b == nil {
		return
	}
	b.required("type", `"hmac"`)
	switch kind := b.text("type", ""); kind {
	case "pass":
		i.readPassword(b)
	case "hmac":
		i.readKeys(b)
	case "PASS", "HMAC":
		b.fault(b.where("type"), "authentication type cannot be %q", kind).because("Write type = %q.", strings.ToLower(kind))
	case "AH", "ah":
		b.fault(b.where("type"), "authentication type cannot be %q", kind).because(
			"The authentication header of RFC 2338 was withdrawn with RFC 3768 and keeps nobody from sending adverts again. Write type = \"hmac\" " +
				"with key_file on all nodes, which keepalived has from 2.4.2 on; or with an older keepalived, version = 2 and type = \"pass\".")
	case "":
	default:
		b.choice("type", "", "pass", "hmac")
	}
}

// readPassword reads the password of version 2.
func (i *instance) readPassword(b *block) {
	b.required("password", `"…" of at most 8 characters`)
	b.unfit("hmac", "key", "key_file", "key_id", "mode", "window")
	i.VRRP.Password = b.text("password", "")
	switch n := len(i.VRRP.Password); {
	case i.VRRP.Version == 3:
		b.fault(b.at, "authentication type pass needs version 2").because(
			"VRRP version 3 has no passwords (RFC 9568 section 9). Use type = \"hmac\" with key_file, or write version = 2 on all nodes.")
	case n > 8:
		b.fault(b.at, "password is too long").because(
			"Its field has 8 bytes (RFC 2338 section 5.3.10); this has %d. keepalived cuts it off after 8: write those for a mixed pair.", n)
	case n == 0 && b.given("password"):
		b.fault(b.where("password"), "password is empty").because("Write 1 to 8 characters, the same on all nodes, or remove the block.")
	}
}

// unfit reports attributes of the other type.
func (b *block) unfit(other string, names ...string) {
	for _, name := range names {
		if b.given(name) {
			b.fault(b.at, "authentication has %s, which is for type = %q", name, other).because("Remove it, or change the type.")
		}
	}
}

// readKeys reads the key that adverts are signed with, and those that are accepted besides it.
func (i *instance) readKeys(b *block) {
	b.unfit("pass", "password")
	const identifier = "A key identifier is 1 to 255, and the same on all nodes."
	own := vrrp.Key{ID: uint8(b.integer("key_id", 1, 1, 255, identifier)), Secret: b.secret()}
	i.VRRP.Auth.Keys = []vrrp.Key{own}
	for _, k := range b.nested("accept", spec{attrs: []string{"key", "key_file"}}) {
		id, err := strconv.ParseUint(k.labels[0], 10, 8)
		if err != nil || id == 0 {
			k.fault(k.label, "%q is no key identifier", k.labels[0]).because("%s", identifier)
			continue
		}
		for _, other := range i.VRRP.Auth.Keys {
			if other.ID == uint8(id) {
				k.fault(k.label, "key identifier %d is used twice", id).because("Each key has its own.")
			}
		}
		i.VRRP.Auth.Keys = append(i.VRRP.Auth.Keys, vrrp.Key{ID: uint8(id), Secret: k.secret()})
	}
	switch b.choice("mode", "enforce", "enforce", "permissive", "receive-only") {
	case "permissive":
		i.VRRP.Auth.Mode = vrrp.AuthPermissive
	case "receive-only":
		i.VRRP.Auth.Mode = vrrp.AuthReceiveOnly
	}
	i.VRRP.Auth.Window = b.duration("window", 0, span{
		least: time.Second, most: 300 * time.Second, step: time.Second, why: "How far two clocks may be apart is 1s to 300s, in whole seconds.",
	})
}

// secret takes the key of a block, from the configuration or from a file.
func (b *block) secret() vrrp.Secret {
	switch {
	case b.given("key") && b.given("key_file"):
		b.fault(b.at, "%s has key and key_file", b.name).because("Keep one of them; the file keeps the key out of the configuration.")
	case b.given("key"):
		return b.parseKey("key", b.text("key", ""))
	case b.given("key_file"):
		text, err := readKeyFile(b.path("key_file"))
		if err != nil {
			r := b.fault(b.where("key_file"), "the key cannot be read")
			if r.because("%v", err); errors.Is(err, fs.ErrNotExist) {
				r.because("%v. Make one for all nodes with: (umask 077; echo hex:$(openssl rand -hex 32) >%s)", err, b.path("key_file"))
			}
			return ""
		}
		return b.parseKey("key_file", text)
	default:
		b.fault(b.at, "%s has no key", b.name).because(
			"Write key_file = \"/etc/vipward/vrrp.key\" and make the file with: (umask 077; echo hex:$(openssl rand -hex 32) >/etc/vipward/vrrp.key)")
	}
	return ""
}

// path takes the name of a file, relative to the one that it is written in.
func (b *block) path(name string) string {
	p := b.text(name, "")
	if p != "" && !filepath.IsAbs(p) {
		p = filepath.Join(b.src.dir(), p)
	}
	return p
}

// parseKey reads a key as keepalived takes it: "hex:" and digits, or the text itself.
func (b *block) parseKey(name, text string) vrrp.Secret {
	raw := []byte(text)
	if digits, ok := strings.CutPrefix(text, "hex:"); ok {
		var err error
		if raw, err = hex.DecodeString(digits); err != nil {
			b.fault(b.at, "the %s of %s is not hexadecimal", name, b.name).because("After hex: come pairs of the digits 0 to 9 and a to f.")
			return ""
		}
	}
	if n := len(raw); n < minKey || n > maxKey {
		b.fault(b.at, "the %s of %s has the wrong length", name, b.name).because(
			"A key has %d to %d bytes: that many characters, or hex: with %d to %d digits. This has %d bytes. Make one with: echo hex:$(openssl rand -hex 32)",
			minKey, maxKey, 2*minKey, 2*maxKey, n)
		return ""
	}
	return vrrp.Secret(raw)
}

// readKeyFile reads a key without the end of its line. A file that others can read keeps no secret.
func readKeyFile(path string) (string, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe would be waited for
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return "", err
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s is no regular file", path)
	case info.Mode().Perm()&0o007 != 0:
		return "", fmt.Errorf("everybody on this machine can get at %s (mode %#o); run chmod 600 %s, and make a new key if somebody may have read it",
			path, info.Mode().Perm(), path)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxKeyFile))
	return strings.TrimRight(string(text), "\r\n"), err
}
