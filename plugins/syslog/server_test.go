//go:build servers

package syslog

import (
	"fmt"
	"strings"
	"testing"

	"github.com/vipward/vipward/tests/servers"
)

func TestRsyslogReadsWhatIsSent(t *testing.T) {
	r := servers.StartRsyslog(t)
	e := down
	e.Service = "web"
	for _, tt := range []struct{ address, want string }{
		{
			"udp://" + r.UDP.String(), `local3|warning|lb_1|vipward|real_server.state|[vipward@32473 seq="7" code="real_server.state" severity="warning" kind="real_server" subject="udp" service="web" from="up" to="down" priority="0"]|real server udp of web: up -> down (said "no" and left)`,
		},
		{
			"tcp://" + r.TCP.String(), `local3|warning|lb_1|vipward|real_server.state|[vipward@32473 seq="7" code="real_server.state" severity="warning" kind="real_server" subject="tcp" service="web" from="up" to="down" priority="0"]|real server tcp of web: up -> down (said "no" and left)`,
		},
		{r.Socket, `vipward|-|-| real server ` + r.Socket + ` of web: up -> down (said "no" and left)`},
	} {
		e.Subject, _, _ = strings.Cut(tt.address, ":")
		n := logger(t, `{"address": %q, "facility": "local3"}`, tt.address)
		n.Events(e).Delivered()
		got := r.Await(1, "real server "+e.Subject+" of web")[0]
		if !strings.HasPrefix(got, "local3|warning|") || !strings.HasSuffix(got, tt.want) {
			t.Errorf("by %s rsyslog got %s, want %s", tt.address, got, tt.want)
		}
	}
}

func TestRsyslogThatWasDownMissesNothing(t *testing.T) {
	r := servers.StartRsyslog(t)
	for _, address := range []string{"udp://" + r.UDP.String(), "tcp://" + r.TCP.String(), r.Socket} {
		t.Run(address, func(t *testing.T) {
			n := logger(t, `{"address": %q}`, address)
			e := down
			name, _, _ := strings.Cut(strings.Trim(address, "/"), ":")
			e.Subject = name + "-0"
			n.Events(e).Delivered()
			r.Await(1, "real server "+e.Subject+" ")
			r.Kill()
			e.Subject = name + "-1"
			n.Events(e).Retry(address)
			r.Start()
			for seq := 1; seq <= 5; seq++ {
				e.Subject = fmt.Sprintf("%s-%d", name, seq)
				n.Events(e).Delivered()
			}
			for seq, line := range r.Await(6, "real server "+name+"-") {
				if want := fmt.Sprintf("real server %s-%d of", name, seq); !strings.Contains(line, want) {
					t.Errorf("line %d is %s, want %s", seq, line, want)
				}
			}
		})
	}
}

func TestRsyslogThatHangs(t *testing.T) {
	r := servers.StartRsyslog(t)
	n := logger(t, `{"address": "tcp://%s", "timeout": "200ms"}`, r.TCP)
	n.Events(down).Delivered()
	r.Await(1, "real server")
	r.Pause()
	e, delivered := down, 0
	e.Reason = strings.Repeat("x", 7000)
	for ; delivered < 5000; delivered++ {
		e.Subject = fmt.Sprintf("late-%d", delivered)
		if res := n.Events(e); res.Reason() != "" {
			res.Retry("timeout")
			break
		}
	}
	r.Resume()
	n.Events(e).Delivered()
	r.Await(delivered+1, "real server late-")
}

func TestTheSuiteWithRsyslog(t *testing.T) {
	r := servers.StartRsyslog(t)
	logger(t, `{"address": "tcp://%s"}`, r.TCP).Conformance()
	r.Await(2, "a test of the notifier")
}
