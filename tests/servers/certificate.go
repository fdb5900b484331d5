package servers

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Certificates are the files of a certificate and its key, in PEM; Cert vouches for itself.
type Certificates struct{ Cert, Key string }

// SelfSigned makes a certificate for addresses and names into a folder, good for a day, for a server as well as for a client.
func SelfSigned(t testing.TB, dir string, names ...string) Certificates {
	t.Helper()
	return selfSigned(t, dir, time.Now().Add(24*time.Hour), names)
}

// Expired is [SelfSigned] of a certificate that has expired an hour ago.
func Expired(t testing.TB, dir string, names ...string) Certificates {
	t.Helper()
	return selfSigned(t, dir, time.Now().Add(-time.Hour), names)
}

func selfSigned(t testing.TB, dir string, end time.Time, names []string) Certificates {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: names[0]}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: end.Add(-25 * time.Hour), NotAfter: end,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(err)
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	must(err)
	files := Certificates{filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")}
	must(os.WriteFile(files.Cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644))
	must(os.WriteFile(files.Key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), 0o600))
	return files
}
