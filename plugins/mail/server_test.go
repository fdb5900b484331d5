//go:build servers

package mail

import (
	"fmt"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/plugintest"
	"github.com/vipward/vipward/tests/servers"
)

// patience is the deadline of a delivery that must work, however busy the machine is.
const patience = 60 * time.Second

func mailer(t *testing.T, config string, args ...any) plugintest.NotifierTest {
	n := plugintest.Notifier(t, "mail", notify).Config(fmt.Sprintf(config, args...)).Timeout(patience)
	n.Valid()
	return n
}

// parse reads a message as a reader of mail does.
func parse(t *testing.T, text string) (mail.Header, string) {
	t.Helper()
	m, err := mail.ReadMessage(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v in:\n%s", err, text)
	}
	_, body, _ := strings.Cut(text, "\n\n")
	return m.Header, body
}

const (
	toOps  = `{"server": "%s", "from": "Load Balancer <lb@example.com>", "to": ["ops@example.org"], "timeout": "14s"}`
	secure = `{"server": "%s", "from": "lb@example.com", "to": ["ops@example.org"], "encryption": "%s", "user": "%s", "password": "%s", "tls": {"ca_file": "%s"}, "timeout": "14s"}`
)

func TestOneMailForABurst(t *testing.T) {
	m := servers.OpenSMTPD(t)
	n := mailer(t, toOps, m.Plain)
	n.Delivery(sdk.Delivery{Key: "a", Attempt: 1}).Events().Delivered()
	head, body := parse(t, m.Await(1)[0])
	for name, want := range map[string]string{
		"Subject": "lb1: 2 events, warning", "From": `"Load Balancer" <lb@example.com>`, "To": "<ops@example.org>",
		"Return-Path": "<lb@example.com>", "Auto-Submitted": "auto-generated", "X-Vipward-Events": "2",
	} {
		if got := head.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for _, want := range []string{
		" info lb1 instance test: BACKUP -> MASTER (a test of the notifier)\n", " warning lb1 real server 192.0.2.1:80 of test: up -> down",
	} {
		if !strings.Contains(strings.ReplaceAll(body, "=\n", ""), strings.ReplaceAll(want, "=", "=3D")) {
			t.Errorf("the text lacks %q:\n%s", want, body)
		}
	}
	n.Delivery(sdk.Delivery{Key: "a", Attempt: 2}).Events().Delivered()
	both := m.Await(2)
	again, _ := parse(t, both[1])
	if id := again.Get("Message-ID"); id == "" || id != head.Get("Message-ID") {
		t.Errorf("the same delivery has the ids %q and %q", head.Get("Message-ID"), id)
	}
}

func TestTLSAndLogin(t *testing.T) {
	m := servers.OpenSMTPD(t)
	mailer(t, secure, m.StartTLS, "starttls", servers.MailUser, servers.MailPassword, m.CA).Events().Delivered()
	mailer(t, secure, m.StartTLS, "auto", servers.MailUser, servers.MailPassword, m.CA).Events().Delivered()
	mailer(t, secure, m.TLS, "implicit", servers.MailUser, servers.MailPassword, m.CA).Events().Delivered()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(servers.MailPassword+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	mailer(t, `{"server": "%s", "from": "lb@example.com", "to": ["ops@example.org"], "user": "%s", "password_file": %q, "tls": {"ca_file": "%s"}, "timeout": "14s"}`,
		m.StartTLS, servers.MailUser, file, m.CA).Events().Delivered()
	for _, text := range m.Await(4) {
		if head, _ := parse(t, text); !strings.HasPrefix(head.Get("X-TLS"), "TLSv1.") {
			t.Errorf("the mail came with TLS %q:\n%s", head.Get("X-TLS"), text)
		}
	}
	mailer(t, secure, m.StartTLS, "starttls", servers.MailUser, "falsch", m.CA).Events().Retry("535")
	mailer(t, secure, m.Plain, "starttls", servers.MailUser, servers.MailPassword, m.CA).Events().Retry("STARTTLS")
	mailer(t, secure, m.Plain, "auto", servers.MailUser, servers.MailPassword, m.CA).Events().Retry("STARTTLS")
	mailer(t, `{"server": "%s", "from": "lb@example.com", "to": ["ops@example.org"], "encryption": "starttls"}`, m.StartTLS).Events().Retry("certificate signed by unknown authority")
	mailer(t, `{"server": "%s", "from": "lb@example.com", "to": ["ops@example.org"]}`, m.StartTLS).Events().Dropped("530") // no login
	m.Await(4)
}

func TestARecipientThatIsRefusedHoldsUpNoOther(t *testing.T) {
	m := servers.OpenSMTPD(t)
	n := mailer(t, `{"server": "%s", "from": "lb@example.com", "to": ["gone@example.net", "ops@example.org", "boss@example.org"], "timeout": "14s"}`, m.Plain)
	n.Events().Delivered()
	var to []string
	for _, text := range m.Await(2) {
		head, _ := parse(t, text)
		to = append(to, head.Get("Delivered-To"))
	}
	if got := strings.Join(to, " "); got != "ops@example.org boss@example.org" && got != "boss@example.org ops@example.org" {
		t.Errorf("delivered to %s", got)
	}
	mailer(t, `{"server": "%s", "from": "lb@example.com", "to": ["gone@example.net"]}`, m.Plain).Events().Dropped("550")
}

// The outbox tries again and keeps the order; here is what it is told.
func TestAServerThatIsDownAndUpAgain(t *testing.T) {
	m := servers.OpenSMTPD(t)
	n := mailer(t, toOps, m.Plain)
	m.Kill()
	for seq := range 3 {
		n.Delivery(sdk.Delivery{Key: fmt.Sprint(seq), Attempt: 1}).Events(event(seq)).Retry("connection refused")
	}
	m.Start()
	for seq := range 3 {
		n.Delivery(sdk.Delivery{Key: fmt.Sprint(seq), Attempt: 2}).Events(event(seq)).Delivered()
		m.Await(seq + 1)
	}
	for seq, text := range m.Await(3) {
		if head, _ := parse(t, text); head.Get("Subject") != fmt.Sprintf("lb1: instance i%d: MASTER", seq) {
			t.Errorf("mail %d is %q", seq, head.Get("Subject"))
		}
	}
}

func TestAServerThatHangs(t *testing.T) {
	m := servers.OpenSMTPD(t)
	m.Pause()
	n := mailer(t, `{"server": "%s", "from": "lb@example.com", "to": ["ops@example.org"], "timeout": "1s"}`, m.Plain)
	n.Events(event(1)).Retry("i/o timeout")
	m.Resume()
	n.Timeout(patience).Delivery(sdk.Delivery{Key: "test", Attempt: 2}).Events(event(1))
	mailer(t, toOps, m.Plain).Events(event(2)).Delivered()
}

func TestTheSuite(t *testing.T) {
	m := servers.OpenSMTPD(t)
	mailer(t, toOps, m.Plain).Conformance()
}

func event(seq int) sdk.Event {
	return sdk.Event{
		Seq: uint64(seq), Time: time.Now(), Node: "lb1", Code: "instance.state", Severity: "info", Kind: "instance",
		Subject: fmt.Sprint("i", seq), To: "MASTER",
	}
}
