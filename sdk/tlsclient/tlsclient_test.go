package tlsclient

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// files writes a certificate of a serial number and its key, and returns their paths.
func files(t *testing.T, dir string, serial int64) (cert, key string) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	must(err)
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	must(err)
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	must(os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), 0o600))
	return cert, key
}

func TestValidatePointsAtTheFault(t *testing.T) {
	cert, key := files(t, t.TempDir(), 1)
	for _, tt := range []struct {
		name    string
		options *Options
		want    string
	}{
		{"no block", nil, ""},
		{"an empty block", &Options{}, ""},
		{"everything", &Options{CAFile: cert, CertFile: cert, KeyFile: key}, ""},
		{"a key alone", &Options{KeyFile: key}, "tls.key_file: key_file is the key of cert_file, which is missing"},
		{"what insecure does not use", &Options{Insecure: true, CAFile: cert}, "tls.insecure: insecure verifies nothing, so ca_file is not used: keep one of the two"},
		{"a file that is not there", &Options{CAFile: "/none"}, "tls.ca_file: not on this node: stat /none: no such file or directory"},
	} {
		got := ""
		if err := tt.options.Validate("tls"); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestTheConfigurationIsSafeUnlessTheOperatorSaysOtherwise(t *testing.T) {
	for name, o := range map[string]*Options{"no block": nil, "an empty block": {}} {
		c, err := o.Config()
		if err != nil || c.InsecureSkipVerify || c.RootCAs != nil || c.ServerName != "" {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
	c, err := (&Options{Insecure: true, MinVersion: "1.0", ServerName: "a"}).Config()
	if err != nil || !c.InsecureSkipVerify || c.MinVersion != tls.VersionTLS10 || c.ServerName != "a" {
		t.Errorf("what was asked for: %+v, %v", c, err)
	}
}

func TestFilesThatCannotBeUsed(t *testing.T) {
	dir := t.TempDir()
	cert, key := files(t, dir, 1)
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		options Options
		want    string
	}{
		{Options{CAFile: "/none"}, "open /none: no such file or directory"},
		{Options{CAFile: empty}, empty + ": no certificate"},
		{Options{CertFile: "/none"}, "stat /none: no such file or directory"},
		{Options{CertFile: cert}, "certificate " + cert + " with the key " + cert},
		{Options{CertFile: empty, KeyFile: key}, "certificate " + empty + " with the key " + key},
	} {
		if _, err := tt.options.Config(); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("Config of %+v = %v, want %s", tt.options, err, tt.want)
		}
	}
}

// serial is the number of the certificate that a client would send now.
func serial(t *testing.T, c *tls.Config) int64 {
	t.Helper()
	pair, err := c.GetClientCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return leaf.SerialNumber.Int64()
}

func TestARenewedCertificateIsTaken(t *testing.T) {
	dir := t.TempDir()
	cert, key := files(t, dir, 1)
	c, err := (&Options{CertFile: cert, KeyFile: key}).Config()
	if err != nil {
		t.Fatal(err)
	}
	if n := serial(t, c); n != 1 {
		t.Errorf("serial = %d, want 1", n)
	}
	later := time.Now().Add(time.Minute) // as the clock of the file system may be coarse
	stamp := func(path string) {
		if err := os.Chtimes(path, later, later); err != nil {
			t.Fatal(err)
		}
	}
	old, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	files(t, dir, 2)
	fresh, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(key, old, 0o600); err != nil { // the new key is not there yet
		t.Fatal(err)
	}
	stamp(cert)
	if n := serial(t, c); n != 1 {
		t.Errorf("while the two do not fit: serial = %d, want 1", n)
	}
	if err := os.WriteFile(key, fresh, 0o600); err != nil {
		t.Fatal(err)
	}
	stamp(key)
	if n := serial(t, c); n != 2 {
		t.Errorf("when they fit: serial = %d, want 2", n)
	}
	if err := os.Remove(cert); err != nil {
		t.Fatal(err)
	}
	if n := serial(t, c); n != 2 {
		t.Errorf("when it is gone: serial = %d, want 2", n)
	}
}

func TestWhenACertificateExpires(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	ends := func(d time.Duration) *x509.Certificate { return &x509.Certificate{NotAfter: now.Add(d)} }
	const day = 24 * time.Hour
	verified := func(chains ...[]*x509.Certificate) tls.ConnectionState {
		return tls.ConnectionState{PeerCertificates: chains[0][:1], VerifiedChains: chains}
	}
	for _, tt := range []struct {
		name  string
		state tls.ConnectionState
		want  string
	}{
		{"far away", verified([]*x509.Certificate{ends(31 * day)}), ""},
		{"near", verified([]*x509.Certificate{ends(10*day + time.Hour)}), "the certificate expires in 10 days, at 2026-01-12T04:04:05Z"},
		{"very near", verified([]*x509.Certificate{ends(5 * time.Hour)}), "the certificate expires in 5 h, at 2026-01-02T08:04:05Z"},
		{"an issuer is near", verified([]*x509.Certificate{ends(90 * day), ends(3 * day)}), "the certificate expires in 3 days, at 2026-01-05T03:04:05Z"},
		{"another chain is good", verified([]*x509.Certificate{ends(90 * day), ends(3 * day)}, []*x509.Certificate{ends(90 * day), ends(400 * day)}), ""},
		{"nobody verified it", tls.ConnectionState{PeerCertificates: []*x509.Certificate{ends(3 * day)}}, "the certificate expires in 3 days, at 2026-01-05T03:04:05Z"},
		{"there is none", tls.ConnectionState{}, ""},
	} {
		if got := (&Checked{ExpiresWithin: 30 * day}).Expiring(tt.state, now); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
		if got := (&Checked{}).Expiring(tt.state, now) + (*Checked)(nil).Expiring(tt.state, now); got != "" {
			t.Errorf("%s, and nobody wants to know: %q", tt.name, got)
		}
	}
}

func TestTheNameOfAConnection(t *testing.T) {
	c, err := (&Options{}).Config()
	if err != nil || For(c, "db").ServerName != "db" || c.ServerName != "" {
		t.Errorf("the name = %q, %v", For(c, "db").ServerName, err)
	}
	if c, _ := (&Options{ServerName: "x"}).Config(); For(c, "db").ServerName != "x" {
		t.Error("server_name does not go before the host")
	}
	if For(nil, "db") != nil {
		t.Error("no TLS does not stay none")
	}
}
