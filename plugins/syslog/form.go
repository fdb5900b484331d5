package syslog

import (
	"cmp"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/message"
)

// maxMessage bounds a message, in bytes: what every server takes whole over TCP, and rsyslog over all ways.
const maxMessage = 8 << 10

// header is what all messages have in common.
type header struct {
	facility int
	name     string
	pid      int
}

// facilities are those of RFC 5424 6.2.1, by the names of syslog(3).
func facilities() map[string]int {
	all := map[string]int{"authpriv": 10, "ftp": 11}
	for i, name := range []string{"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron"} {
		all[name] = i
	}
	for i := range 8 {
		all[fmt.Sprint("local", i)] = 16 + i
	}
	return all
}

// priority is facility and severity in one number.
func (h header) priority(e sdk.Event) int {
	severity := map[string]int{"critical": 2, "warning": 4}[e.Severity]
	return h.facility*8 + cmp.Or(severity, 6)
}

// rfc5424 is an event with its fields as structured data. The number is the one that RFC 5612 keeps for examples: vipward has none.
func (h header) rfc5424(e sdk.Event) []byte {
	var data strings.Builder
	for _, f := range [][2]string{
		{"seq", fmt.Sprint(e.Seq)},
		{"code", e.Code},
		{"severity", e.Severity},
		{"kind", e.Kind},
		{"subject", e.Subject},
		{"service", e.Service},
		{"from", e.From},
		{"to", e.To},
		{"priority", fmt.Sprint(e.Priority)},
	} {
		if f[1] != "" {
			fmt.Fprintf(&data, ` %s="%s"`, f[0], escape(f[1]))
		}
	}
	return cut(fmt.Sprintf("<%d>1 %s %s %s %d %s [vipward@32473%s] %s", h.priority(e), e.Time.UTC().Format("2006-01-02T15:04:05.000000Z"),
		ascii(e.Node, 255), ascii(h.name, 48), h.pid, ascii(e.Code, 32), data.String(), message.Line(e)))
}

// bsd is an event as syslog(3) sends it to the socket of the node's own, by local time.
func (h header) bsd(e sdk.Event) []byte {
	return cut(fmt.Sprintf("<%d>%s %s[%d]: %s", h.priority(e), e.Time.Local().Format(time.Stamp), h.name, h.pid, message.Line(e)))
}

// escape is a value of structured data (RFC 5424 6.3.3), in one line.
func escape(s string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, `]`, `\]`, "\n", " ", "\r", " ", "\x00", " ").Replace(strings.ToValidUTF8(s, "?"))
}

// ascii is a field of the header: printable, without spaces, of a length; "-" for nothing.
func ascii(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if r <= ' ' || r >= 0x7f {
			return '_'
		}
		return r
	}, s)
	return cmp.Or(s[:min(len(s), most)], "-")
}

func cut(s string) []byte {
	if len(s) > maxMessage {
		end := maxMessage
		for !utf8.RuneStart(s[end]) {
			end--
		}
		s = s[:end]
	}
	return []byte(s)
}
