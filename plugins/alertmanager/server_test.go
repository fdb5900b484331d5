//go:build servers

package alertmanager

import (
	"testing"
	"time"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/tests/servers"
)

// now is an event as at, of the present: an Alertmanager forgets what is old.
func now(subject, to string) sdk.Event {
	e := at(0, to)
	e.Time, e.Subject = time.Now(), subject
	return e
}

func TestAnAlertmanagerSeesTroublesBeginAndEnd(t *testing.T) {
	a := servers.StartAlertmanager(t)
	n := keeper(t, `{"urls": ["http://%s"], "labels": {"team": "net"}}`, a.Address)
	n.Events(now("10.0.0.11:80", "down"), now("10.0.0.12:80", "down")).Delivered()
	for _, alert := range a.Await(2) {
		if alert.Labels["alertname"] != "vipward.real_server.state" || alert.Labels["team"] != "net" || alert.Labels["severity"] != "warning" ||
			alert.Annotations["description"] != "refused" {
			t.Errorf("an alert has %v, %v", alert.Labels, alert.Annotations)
		}
	}
	n.Events(now("10.0.0.11:80", "up")).Delivered()
	if left := a.Await(1); left[0].Labels["subject"] != "10.0.0.12:80" {
		t.Errorf("what fires still is %v", left[0].Labels)
	}
	// A run that knows of nothing ends what the one before has told of.
	keeper(t, `{"urls": ["http://%s"], "labels": {"team": "net"}}`, a.Address).Events(now("10.0.0.12:80", "up")).Delivered()
	a.Await(0)
}

func TestAnAlertmanagerThatForgotIsToldAgain(t *testing.T) {
	a := servers.StartAlertmanager(t)
	n := keeper(t, `{"urls": ["http://%s"], "resend": "1s"}`, a.Address)
	n.Events(now("10.0.0.11:80", "down")).Delivered()
	a.Await(1)
	a.Kill()
	n.Events(now("10.0.0.12:80", "down")).Retry(a.Address.String()) // refused, or the end of the connection that was
	a.Start()                                                       // alerts are not kept on the disk
	a.Await(1)
	n.Events(now("10.0.0.12:80", "down")).Delivered()
	a.Await(2)
}

func TestAnAlertmanagerThatHangs(t *testing.T) {
	a := servers.StartAlertmanager(t)
	n := keeper(t, `{"urls": ["http://%s"], "timeout": "300ms"}`, a.Address)
	a.Pause()
	n.Events(now("10.0.0.11:80", "down")).Retry("deadline exceeded")
	a.Resume()
	keeper(t, `{"urls": ["http://%s"]}`, a.Address).Events(now("10.0.0.11:80", "down")).Delivered()
	a.Await(1)
}

func TestTheSuiteWithAnAlertmanager(t *testing.T) {
	keeper(t, `{"urls": ["http://%s"]}`, servers.StartAlertmanager(t).Address).Conformance()
}
