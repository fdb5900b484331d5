package access

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"github.com/vipward/vipward/sdk"
)

// TLS is a block tls. The certificate of the server is verified unless Insecure says otherwise.
type TLS struct {
	ServerName string `vipward:"server_name" doc:"Name that the certificate must carry. Default: the host that is connected to."`
	CAFile     string `vipward:"ca_file" doc:"File with the certificates to trust, in PEM. Default: the system's."`
	CertFile   string `vipward:"cert_file" doc:"File with the client's own certificate, in PEM. Default: none."`
	KeyFile    string `vipward:"key_file" doc:"File with the key of cert_file, in PEM."`
	Insecure   bool   `vipward:"insecure" doc:"Do not verify the certificate."`
}

// Validate reports what the attributes do not allow together. nil is no block, and fine.
func (t *TLS) Validate() error {
	if t != nil && (t.CertFile == "") != (t.KeyFile == "") {
		return sdk.PathError(errors.New("cert_file and key_file come together"), "tls")
	}
	return nil
}

// Config reads the files: once, in Open, since a file that cannot be read is no fault of a target. It is nil for no block.
// [For] makes it that of one connection.
func (t *TLS) Config() (*tls.Config, error) {
	if t == nil {
		return nil, nil
	}
	c := &tls.Config{ServerName: t.ServerName, InsecureSkipVerify: t.Insecure} // the operator says so
	if t.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, err
		}
		c.Certificates = []tls.Certificate{pair}
	}
	if t.CAFile == "" {
		return c, nil
	}
	pem, err := os.ReadFile(t.CAFile)
	if err != nil {
		return nil, err
	}
	c.RootCAs = x509.NewCertPool()
	if !c.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: no certificate", t.CAFile)
	}
	return c, nil
}

// For is the configuration for one connection: where no name is set, the certificate must name the host. nil stays nil.
func For(c *tls.Config, p Place) *tls.Config {
	if c == nil || c.ServerName != "" {
		return c
	}
	c = c.Clone()
	c.ServerName = p.Host
	return c
}
