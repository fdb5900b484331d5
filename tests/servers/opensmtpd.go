package servers

import (
	_ "embed" // the script of the server with TLS
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The account that the mail servers with TLS know.
const (
	MailUser     = "vipward"
	MailPassword = "geheim"
)

// Mail is a host that takes mail for all of example.org and has one mailbox. The plain server is OpenSMTPD. Those with TLS are
// aiosmtpd, since Debian's OpenSMTPD cannot be a server with TLS: its separate process for the key does not work with OpenSSL 3
// (OpenSMTPD issue 1171).
type Mail struct {
	// Plain offers neither TLS nor AUTH. StartTLS and TLS (from the first byte) take mail only after AUTH; StartTLS offers AUTH
	// only inside of TLS.
	Plain, StartTLS, TLS netip.AddrPort
	// CA is the file of the certificate of StartTLS and TLS, which is for 127.0.0.1 and mail.example.org.
	CA string

	t      testing.TB
	dir    string
	config string
	plain  *Process
	secure *Process
}

//go:embed mail.py
var mailScript []byte

// smtpdConfig is for OpenSMTPD: the mailbox, the address and the port.
const smtpdConfig = `table users { "@" = "nobody" }
listen on %[2]s port %[3]d hostname mail.example.org
action "keep" maildir "%[1]s/mailbox" virtual <users>
match from any for domain "example.org" action "keep"
`

// smtpdStart runs OpenSMTPD with a spool and a control socket of its own, whose paths are built in: in its own mount name space,
// and in its own process name space, so that its end is the end of all its processes.
const smtpdStart = `set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /var/spool
mkdir -m 711 /var/spool/smtpd
mount -t tmpfs tmpfs /run
exec /usr/sbin/smtpd -d -f "$1"
`

// OpenSMTPD starts the mail host on free ports of 127.0.0.1 and waits until it takes mail.
func OpenSMTPD(t testing.TB) *Mail {
	t.Helper()
	nobody := accountOf(t, "nobody")
	m := &Mail{t: t, dir: nobody.folder(t)}
	m.config = filepath.Join(m.dir, "smtpd.conf")
	m.Plain, m.StartTLS, m.TLS = FreePort(t, "127.0.0.1"), FreePort(t, "127.0.0.1"), FreePort(t, "127.0.0.1")
	m.CA = SelfSigned(t, m.dir, "127.0.0.1", "mail.example.org").Cert
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.WriteFile(m.config, fmt.Appendf(nil, smtpdConfig, m.dir, m.Plain.Addr(), m.Plain.Port()), 0o600))
	must(os.WriteFile(filepath.Join(m.dir, "mail.py"), mailScript, 0o600))
	for _, sub := range []string{"new", "cur", "tmp"} {
		must(os.MkdirAll(filepath.Join(m.dir, "mailbox", sub), 0o700))
	}
	nobody.own(t, m.dir)
	must(os.Chown(m.config, 0, 0)) // OpenSMTPD takes it from root only
	m.Start()
	return m
}

// Start starts the servers, which do not run, on the same addresses as before.
func (m *Mail) Start() {
	m.t.Helper()
	m.plain = Start(m.t, func(c *exec.Cmd) {
		c.SysProcAttr.Cloneflags = syscall.CLONE_NEWNS | syscall.CLONE_NEWPID
		c.SysProcAttr.Pdeathsig = syscall.SIGKILL
	}, "/bin/sh", "-c", smtpdStart, "smtpd", m.config)
	m.secure = Start(m.t, accountOf(m.t, "nobody").become(m.dir), "/usr/bin/python3", filepath.Join(m.dir, "mail.py"), m.dir,
		m.StartTLS.String(), m.TLS.String(), MailUser, MailPassword)
	for addr, p := range map[netip.AddrPort]*Process{m.Plain: m.plain, m.StartTLS: m.secure, m.TLS: m.secure} {
		p.Until("listening", func() error {
			conn, err := net.DialTimeout("tcp", addr.String(), time.Second)
			if err == nil {
				conn.Close()
			}
			return err
		})
	}
}

// Kill ends the servers at once. Mail in the mailbox stays.
func (m *Mail) Kill() { m.plain.Kill(); m.secure.Kill() }

// Pause makes the servers take connections and say nothing.
func (m *Mail) Pause() { m.plain.Pause(); m.secure.Pause() }

// Resume lets them go on.
func (m *Mail) Resume() { m.plain.Resume(); m.secure.Resume() }

// Messages are what is in the mailbox, the oldest first, each as it arrived: headers and body with lines that end in "\n".
func (m *Mail) Messages() []string {
	m.t.Helper()
	type message struct {
		at   time.Time
		text string
	}
	var all []message
	paths, err := filepath.Glob(filepath.Join(m.dir, "mailbox", "new", "*"))
	if err != nil {
		m.t.Fatal(err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		info, err2 := os.Stat(path)
		if err != nil || err2 != nil {
			m.t.Fatal(err, err2)
		}
		all = append(all, message{info.ModTime(), strings.ReplaceAll(string(text), "\r\n", "\n")})
	}
	slices.SortFunc(all, func(a, b message) int { return a.at.Compare(b.at) })
	out := make([]string, 0, len(all))
	for _, a := range all {
		out = append(out, a.text)
	}
	return out
}

// Await waits until the mailbox has n messages, and returns them. It fails the test where there are more.
func (m *Mail) Await(n int) []string {
	m.t.Helper()
	var all []string
	m.secure.Until(fmt.Sprintf("holding %d messages", n), func() error {
		if all = m.Messages(); len(all) < n {
			return fmt.Errorf("the mailbox has %d", len(all))
		}
		return nil
	})
	if len(all) > n {
		m.t.Fatalf("the mailbox has %d messages, want %d:\n%s", len(all), n, strings.Join(all, "\n---\n"))
	}
	return all
}
