package probe

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vipward/vipward/tests/lab/netns"
)

// TestLoadCountsWhatBreaks has two servers: one that answers, one that breaks each connection at the third question.
func TestLoadCountsWhatBreaks(t *testing.T) {
	ns, err := netns.New()
	if err != nil {
		t.Skipf("needs root: %v", err)
	}
	defer ns.Close()
	if _, err := ns.Output("ip", "link", "set", "lo", "up"); err != nil {
		t.Skip(err)
	}
	serve := func(limit int) netip.AddrPort {
		var l net.Listener
		if err := ns.Do(func() (err error) { l, err = net.Listen("tcp4", "127.0.0.1:0"); return err }); err != nil {
			t.Fatal(err)
		}
		var asked sync.Map // by the client's address
		s := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n, _ := asked.LoadOrStore(r.RemoteAddr, new(atomic.Int32))
			if n.(*atomic.Int32).Add(1) == int32(limit) {
				conn, _, _ := w.(http.Hijacker).Hijack()
				_ = conn.(*net.TCPConn).SetLinger(0)
				_ = conn.Close()
				return
			}
			w.Header().Set("Content-Length", "5")
			_, _ = io.WriteString(w, "here\n")
		})}
		go func() { _ = s.Serve(l) }()
		t.Cleanup(func() { _ = s.Close() })
		return netip.MustParseAddrPort(l.Addr().String())
	}
	good, bad := serve(-1), serve(3)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	report, err := Load{To: []netip.AddrPort{good, bad}, Conns: 2, Beat: 50 * time.Millisecond, Every: 10 * time.Millisecond, Timeout: 5 * time.Second}.Run(ctx, ns)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		to   netip.AddrPort
		lost int
	}{{good, 0}, {bad, 1}} {
		s := report[c.to]
		if len(s.Kept) != 1 || len(s.Kept.Lost()) != c.lost || s.Beats < 2 {
			t.Errorf("%d connections were kept with %d answers, lost %+v; want one, and %d lost", len(s.Kept), s.Beats, s.Kept.Lost(), c.lost)
		}
		if len(s.Requests) < 20 || len(s.Requests.Lost()) > 0 || s.Requests.By()["here"] != len(s.Requests) {
			t.Errorf("%d requests, %d lost, by %v; want many, and none lost", len(s.Requests), len(s.Requests.Lost()), s.Requests.By())
		}
	}
}
