package servers

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Rsyslog is a syslog server of its own folder. Each message becomes a line of a file: its facility, severity, host, application,
// MSGID, structured data and text, with "|" between them.
type Rsyslog struct {
	*Process
	// Socket takes datagrams in the form of syslog(3). UDP and TCP take RFC 5424.
	Socket   string
	UDP, TCP netip.AddrPort
	t        testing.TB
	dir      string
}

const rsyslogConfig = `global(workDirectory="%[1]s")
module(load="imuxsock" SysSock.Use="off")
module(load="imudp")
module(load="imtcp")
template(name="line" type="string" string="%%syslogfacility-text%%|%%syslogseverity-text%%|%%hostname%%|%%app-name%%|%%msgid%%|%%structured-data%%|%%msg%%\n")
input(type="imuxsock" socket="%[1]s/log")
input(type="imudp" address="%[2]s" port="%[3]d")
input(type="imtcp" address="%[4]s" port="%[5]d")
action(type="omfile" file="%[1]s/messages" template="line" asyncWriting="off" flushOnTXEnd="on")
`

// StartRsyslog starts rsyslog on free ports of 127.0.0.1.
func StartRsyslog(t testing.TB) *Rsyslog {
	t.Helper()
	r := &Rsyslog{t: t, dir: account{os.Getuid(), os.Getgid()}.folder(t), TCP: FreePort(t, "127.0.0.1")}
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.UDP = conn.LocalAddr().(*net.UDPAddr).AddrPort()
	conn.Close()
	r.Socket = filepath.Join(r.dir, "log")
	text := fmt.Sprintf(rsyslogConfig, r.dir, r.UDP.Addr(), r.UDP.Port(), r.TCP.Addr(), r.TCP.Port())
	if err := os.WriteFile(filepath.Join(r.dir, "conf"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r.Start()
	return r
}

// Start starts the server, which does not run, on the same addresses as before.
func (r *Rsyslog) Start() {
	r.t.Helper()
	r.Process = Start(r.t, account{os.Getuid(), os.Getgid()}.become(r.dir), "/usr/sbin/rsyslogd", "-n", "-f", filepath.Join(r.dir, "conf"),
		"-i", filepath.Join(r.dir, "pid"))
	r.Until("listening", func() error {
		for _, at := range [][2]string{{"unixgram", r.Socket}, {"tcp", r.TCP.String()}} {
			conn, err := net.DialTimeout(at[0], at[1], time.Second)
			if err != nil {
				return err
			}
			conn.Close()
		}
		conn, err := net.Dial("udp", r.UDP.String())
		if err != nil {
			return err
		}
		defer conn.Close()
		if _, err := conn.Write([]byte("<191>1 - - - - - - are you there?")); err != nil {
			return err
		}
		if !strings.Contains(r.text(), "are you there?") {
			return fmt.Errorf("no answer by UDP")
		}
		return nil
	})
}

func (r *Rsyslog) text() string {
	text, _ := os.ReadFile(filepath.Join(r.dir, "messages")) // it comes with the first message
	return string(text)
}

// Await waits until the server has n messages with a text in them, and returns those, the oldest first.
func (r *Rsyslog) Await(n int, part string) []string {
	r.t.Helper()
	var seen []string
	r.Until(fmt.Sprintf("holding %d messages with %q", n, part), func() error {
		seen = nil
		for line := range strings.Lines(r.text()) {
			if strings.Contains(line, part) {
				seen = append(seen, strings.TrimSuffix(line, "\n"))
			}
		}
		if len(seen) < n {
			return fmt.Errorf("it has %d", len(seen))
		}
		return nil
	})
	return seen
}
