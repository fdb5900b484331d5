package e2e

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/vipward/vipward/tests/lab/probe"
	"github.com/vipward/vipward/tests/lab/proc"
	"github.com/vipward/vipward/tests/lab/scenario"
	"github.com/vipward/vipward/tests/lab/topology"
)

// web is an nginx on a node.
type web struct {
	t      *T
	node   *topology.Node
	dir    string
	listen []string
	proc   *proc.Process
}

// serve starts an nginx with one page at each of the addresses.
func (l *lab) serve(node, page, content string, listen ...string) *web {
	w := &web{t: l.T, node: l.Node(node), dir: filepath.Join(l.Dir, node+"-nginx"), listen: listen}
	l.Must(os.MkdirAll(filepath.Join(w.dir, "www"), 0o755))
	w.write(page, content)
	l.Must(os.WriteFile(filepath.Join(w.dir, "nginx.conf"), []byte(w.config()), 0o644))
	w.start()
	return w
}

// config keeps to one process, so that one signal reaches all of it.
func (w *web) config() string {
	var b strings.Builder
	b.WriteString("daemon off;\nmaster_process off;\nuser root;\npid nginx.pid;\nevents { worker_connections 512; }\nhttp {\n  access_log off;\n")
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&b, "  %s_temp_path tmp-%s;\n", kind, kind)
	}
	b.WriteString("  server {\n    root www;\n    default_type text/plain;\n")
	for _, a := range w.listen {
		fmt.Fprintf(&b, "    listen %s;\n", a)
	}
	b.WriteString("  }\n}\n")
	return b.String()
}

// write replaces a page.
func (w *web) write(page, content string) {
	path := filepath.Join(w.dir, "www", page)
	w.t.Must(os.WriteFile(path+".new", []byte(content+"\n"), 0o644))
	w.t.Must(os.Rename(path+".new", path))
}

func (w *web) start() {
	p, err := proc.Start(w.node.NS, filepath.Join(w.dir, "log"), "nginx", "-p", w.dir, "-c", "nginx.conf", "-e", "stderr")
	w.t.Must(err)
	w.proc = p
	w.t.Cleanup(p.Kill)
	w.t.Eventually("nginx on "+w.node.Name+" answers", 10*time.Second, func() error {
		if !p.Running() {
			w.t.Fatalf("nginx on %s has ended: %s", w.node.Name, scenario.Tail(p.Log(), 5))
		}
		_, err := probe.Get(w.node.NS, netip.MustParseAddrPort(w.listen[0]), w.page(), time.Second)
		return err
	})
}

// page is one of those that it serves.
func (w *web) page() string {
	entries, err := os.ReadDir(filepath.Join(w.dir, "www"))
	w.t.Must(err)
	return "/" + entries[0].Name()
}

// stop ends it at once.
func (w *web) stop() {
	w.t.Logf("nginx on %s stops", w.node.Name)
	w.proc.Kill()
}
