package servers

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Alertmanager is one of Prometheus', with a folder of its own, that tells nobody.
type Alertmanager struct {
	*Process
	Address netip.AddrPort
	t       testing.TB
	dir     string
}

// StartAlertmanager starts one on a free port of 127.0.0.1.
func StartAlertmanager(t testing.TB) *Alertmanager {
	t.Helper()
	a := &Alertmanager{t: t, dir: t.TempDir(), Address: FreePort(t, "127.0.0.1")}
	const config = "route:\n  receiver: nobody\n  group_wait: 1s\nreceivers:\n- name: nobody\n"
	if err := os.WriteFile(filepath.Join(a.dir, "config.yml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	a.Start()
	return a
}

// Start starts the server, which does not run, on the same address as before.
func (a *Alertmanager) Start() {
	a.t.Helper()
	a.Process = Start(a.t, account{os.Getuid(), os.Getgid()}.become(a.dir), "/usr/bin/prometheus-alertmanager",
		"--config.file="+filepath.Join(a.dir, "config.yml"), "--storage.path="+filepath.Join(a.dir, "data"),
		"--web.listen-address="+a.Address.String(), "--cluster.listen-address=")
	a.Until("ready", func() error {
		_, err := a.alerts()
		return err
	})
}

// Alert is an alert as the Alertmanager shows it.
type Alert struct {
	Labels, Annotations map[string]string
	StartsAt, EndsAt    time.Time
	Status              struct{ State string }
}

func (a *Alertmanager) alerts() ([]Alert, error) {
	client := &http.Client{Timeout: 10 * time.Second}
	resp, err := client.Get("http://" + a.Address.String() + "/api/v2/alerts")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", resp.StatusCode)
	}
	var all []Alert
	return all, json.NewDecoder(resp.Body).Decode(&all)
}

// Await waits until n alerts fire, and returns them.
func (a *Alertmanager) Await(n int) []Alert {
	a.t.Helper()
	var all []Alert
	a.Until(fmt.Sprintf("firing %d alerts", n), func() (err error) {
		if all, err = a.alerts(); err == nil && len(all) != n {
			err = fmt.Errorf("%d fire: %v", len(all), all)
		}
		return err
	})
	return all
}
