package servers

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Nginx is an nginx with a few pages:
//
//	/              "hello" and a newline
//	/host          virtual host, protocol and method
//	/json          {"status": "UP", "nodes": [{"name": "a"}]}
//	/private       for the user u with the password p
//	/moved         a redirect to /host of www.example.com
//	/sorry         status 503
//	/slow          a byte a second
//	/long          a megabyte, at a snail's pace after the first 4 KiB
//	/nginx_status  stub_status
type Nginx struct {
	*Process
	// Dir holds nginx.conf, nginx.pid and what else it needs.
	Dir string
	// Plain speaks HTTP, Secure HTTPS; Mutual asks for a client certificate, for which Cert itself is good.
	Plain, Secure, Mutual netip.AddrPort
	// Expired has a certificate that has expired.
	Expired netip.AddrPort
	Cert    Certificates
}

// nginxPages are the pages of each server.
const nginxPages = `
    root %[1]s;
    default_type text/plain;
    location / { return 200 "hello\n"; }
    location = /host { return 200 "$host $server_protocol $request_method"; }
    location = /json { default_type application/json; return 200 '{"status": "UP", "nodes": [{"name": "a"}]}'; }
    location = /private { auth_basic "private"; auth_basic_user_file %[1]s/users; try_files /hello =404; }
    location = /moved { return 302 http://www.example.com/host; }
    location = /sorry { return 503 "sorry\n"; }
    location = /slow { limit_rate 1; try_files /hello =404; }
    location = /long { limit_rate_after 4k; limit_rate 1; }
    location = /nginx_status { stub_status; }
`

const nginxConfig = `
user root;
worker_processes 1;
pid %[1]s/nginx.pid;
error_log stderr warn;
events { worker_connections 256; }
http {
  access_log off;
  client_body_temp_path %[1]s/body;
  proxy_temp_path %[1]s/proxy;
  fastcgi_temp_path %[1]s/fastcgi;
  uwsgi_temp_path %[1]s/uwsgi;
  scgi_temp_path %[1]s/scgi;
  ssl_certificate %[1]s/cert.pem;
  ssl_certificate_key %[1]s/key.pem;
  server { listen %[3]s; %[2]s }
  server { listen %[4]s ssl http2; %[2]s }
  server { listen %[5]s ssl; ssl_client_certificate %[1]s/cert.pem; ssl_verify_client on; %[2]s }
  server { listen %[6]s ssl; ssl_certificate %[1]s/expired/cert.pem; ssl_certificate_key %[1]s/expired/key.pem; %[2]s }
}
`

// StartNginx starts nginx on free ports of an address of its own, and waits until it serves.
func StartNginx(t testing.TB) *Nginx {
	t.Helper()
	const address = "127.0.80.1"
	n := &Nginx{
		Dir:   t.TempDir(),
		Plain: FreePort(t, address), Secure: FreePort(t, address), Mutual: FreePort(t, address), Expired: FreePort(t, address),
	}
	n.Cert = SelfSigned(t, n.Dir, "www.example.com", address)
	expired := filepath.Join(n.Dir, "expired")
	if err := os.Mkdir(expired, 0o700); err != nil {
		t.Fatal(err)
	}
	Expired(t, expired, "www.example.com", address)
	pages := fmt.Sprintf(nginxPages, n.Dir)
	n.write(t, "nginx.conf", fmt.Sprintf(nginxConfig, n.Dir, pages, n.Plain, n.Secure, n.Mutual, n.Expired))
	n.write(t, "users", "u:{PLAIN}p\n")
	n.write(t, "hello", "hello\n")
	n.write(t, "long", strings.Repeat("x", 1<<20))
	args := append(n.Command()[1:], "-g", "daemon off;")
	n.Process = Start(t, nil, "nginx", args...)
	n.Until("serving", func() error {
		conn, err := net.Dial("tcp", n.Plain.String())
		if err == nil {
			conn.Close()
			_, err = n.master()
		}
		return err
	})
	return n
}

// Command is an nginx with this one's configuration, which goes into the background; see [Nginx.EndsWithTheTest].
func (n *Nginx) Command() []string {
	return []string{"nginx", "-p", n.Dir, "-e", "stderr", "-c", filepath.Join(n.Dir, "nginx.conf")}
}

// Kill ends the master and its workers, and waits until nobody takes connections any more.
func (n *Nginx) Kill() {
	n.t.Helper()
	n.Process.Kill()
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) { // the pace of asking
		conn, err := net.Dial("tcp", n.Plain.String())
		if errors.Is(err, syscall.ECONNREFUSED) {
			return
		}
		if err == nil {
			conn.Close()
		}
		if time.Now().After(end) {
			n.t.Fatalf("nginx still takes connections: %v", err)
		}
	}
}

// Ended waits until the master has ended, whose workers may live on.
func (n *Nginx) Ended() { <-n.done }

// PIDFile is where the master writes its process id.
func (n *Nginx) PIDFile() string { return filepath.Join(n.Dir, "nginx.pid") }

// Break makes the configuration one that nginx does not take, and returns what makes it good again.
func (n *Nginx) Break(t testing.TB) (mend func()) {
	t.Helper()
	good, err := os.ReadFile(filepath.Join(n.Dir, "nginx.conf"))
	if err != nil {
		t.Fatal(err)
	}
	n.write(t, "nginx.conf", "lsten 80;\n"+string(good))
	return func() { n.write(t, "nginx.conf", string(good)) }
}

// EndsWithTheTest ends the nginx in the background that a restart has left.
func (n *Nginx) EndsWithTheTest(t testing.TB) {
	t.Cleanup(func() {
		if pid, err := n.master(); err == nil && pid != n.Pid() {
			_ = syscall.Kill(-pid, syscall.SIGKILL) // the master leads a group
		}
	})
}

func (n *Nginx) master() (int, error) {
	text, err := os.ReadFile(n.PIDFile())
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}

func (n *Nginx) write(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(n.Dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
