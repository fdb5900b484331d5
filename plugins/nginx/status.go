//go:build linux

package nginx

import (
	"fmt"
	"sync"
	"time"
)

// status is a page of stub_status (ngx_http_stub_status_module).
type status struct {
	active                     uint64
	accepts, handled, requests uint64
	reading, writing, waiting  uint64
}

// parseStatus reads a page.
func parseStatus(page string) (status, error) {
	var s status
	n, err := fmt.Sscanf(page, "Active connections: %d \nserver accepts handled requests\n %d %d %d \nReading: %d Writing: %d Waiting: %d",
		&s.active, &s.accepts, &s.handled, &s.requests, &s.reading, &s.writing, &s.waiting)
	if err != nil || n != 7 {
		return status{}, fmt.Errorf("no page of stub_status: %q", page[:min(len(page), 80)])
	}
	return s, nil
}

// sample is a page with when it was read.
type sample struct {
	at time.Time
	status
}

// pace is what happened between two samples.
type pace struct {
	known             bool // there was an earlier sample
	accepts, requests float64
	dropped           uint64 // connections accepted and not handled
}

// paceOf compares two samples. Counters that go back are those of an nginx that was restarted.
func paceOf(before, now sample) pace {
	took := now.at.Sub(before.at).Seconds()
	if before.at.IsZero() || took <= 0 || now.accepts < before.accepts || now.requests < before.requests || now.handled < before.handled {
		return pace{}
	}
	accepts, handled := now.accepts-before.accepts, now.handled-before.handled
	p := pace{known: true, accepts: float64(accepts) / took, requests: float64(now.requests-before.requests) / took}
	if accepts > handled {
		p.dropped = accepts - handled
	}
	return p
}

// meter keeps the latest sample of each target. It is safe for use by several runs at once.
type meter struct {
	mu     sync.Mutex
	latest map[string]sample
}

// maxQuiet is for how long a target that is not asked any more is remembered.
const maxQuiet = 24 * time.Hour

// measure compares a sample with the one before of the same target, and keeps it.
func (m *meter) measure(target string, now sample) pace {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := m.latest[target]
	if m.latest == nil {
		m.latest = make(map[string]sample)
	}
	for name, s := range m.latest {
		if now.at.Sub(s.at) > maxQuiet {
			delete(m.latest, name)
		}
	}
	m.latest[target] = now
	return paceOf(before, now)
}
