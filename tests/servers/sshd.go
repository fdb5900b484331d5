package servers

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// SSH is an OpenSSH server, for the user root with one key.
type SSH struct {
	*Process
	// Address is where it listens, HostKey its public key in one line, and KeyFile a private key that it lets in.
	Address          netip.AddrPort
	HostKey, KeyFile string
}

const sshdConfig = `ListenAddress %s
HostKey %s/host
AuthorizedKeysFile %s/authorized
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
PermitRootLogin prohibit-password
PrintMotd no
`

// StartSSH starts a server on an address of the loopback interface, with keys of its own.
func StartSSH(t testing.TB) *SSH {
	t.Helper()
	dir := t.TempDir()
	s := &SSH{Address: FreePort(t, "127.0.0.1"), KeyFile: filepath.Join(dir, "client")}
	s.HostKey = keyPair(t, filepath.Join(dir, "host"))
	client := keyPair(t, s.KeyFile)
	config := fmt.Sprintf(sshdConfig, s.Address, dir, dir)
	for name, text := range map[string]string{"authorized": client, "sshd_config": config} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// sshd wants this folder for its unprivileged half. It is left: another server may have come to need it.
	if err := os.Mkdir("/run/sshd", 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		t.Fatal(err)
	}
	s.Process = Start(t, nil, "/usr/sbin/sshd", "-D", "-e", "-f", filepath.Join(dir, "sshd_config"))
	s.Until("listening", func() error {
		conn, err := net.DialTimeout("tcp", s.Address.String(), time.Second)
		if err == nil {
			err = conn.Close()
		}
		return err
	})
	return s
}

// keyPair writes a private key and returns the public one, in one line.
func keyPair(t testing.TB, path string) string {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
}
