// Package tlsclient is the block tls of plugins that speak TLS as clients: the same attributes in each of them, certificates
// verified unless the operator says otherwise, and for checkers a warning before one expires. It is not for servers.
package tlsclient

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"github.com/vipward/vipward/sdk"
)

// Options is the block. In a configuration it is a field such as
//
//	TLS *tlsclient.Options `vipward:"tls,block" doc:"Speak TLS."`
//
// A nil *Options, which is a block that is not there, stands for the defaults.
type Options struct {
	ServerName string `vipward:"server_name" doc:"Name that is asked for (SNI) and that the certificate must carry. Default: the host that is connected to."`
	CAFile     string `vipward:"ca_file" doc:"File with the certificates to trust, in PEM. Default: the system's."`
	CertFile   string `vipward:"cert_file" doc:"File with the client's own certificate and its chain, in PEM. Read again when it changes."`
	KeyFile    string `vipward:"key_file" doc:"File with the key of cert_file, in PEM. Default: cert_file has it, too."`
	MinVersion string `vipward:"min_version" default:"1.2" one_of:"1.0,1.1,1.2,1.3" doc:"Oldest version of TLS to accept."`
	Insecure   bool   `vipward:"insecure" doc:"Do not verify the certificate."`
}

// Validate says what is wrong with the block, for the Validate of a configuration; block is its name there. What a file of this
// node lacks is a warning, since the check may run on another one.
func (o *Options) Validate(block string) error {
	if o == nil {
		return nil
	}
	var errs []error
	if o.KeyFile != "" && o.CertFile == "" {
		errs = append(errs, sdk.PathError(errors.New("key_file is the key of cert_file, which is missing"), block, "key_file"))
	}
	if o.Insecure && o.CAFile != "" {
		errs = append(errs, sdk.PathError(errors.New("insecure verifies nothing, so ca_file is not used: keep one of the two"), block, "insecure"))
	}
	for _, f := range []struct{ name, path string }{{"ca_file", o.CAFile}, {"cert_file", o.CertFile}, {"key_file", o.KeyFile}} {
		if f.path == "" {
			continue
		}
		if _, err := os.Stat(f.path); err != nil {
			errs = append(errs, sdk.Warning(sdk.PathError(fmt.Errorf("not on this node: %w", err), block, f.name)))
		}
	}
	return errors.Join(errs...)
}

// Config is what [tls.Client] needs, read once, for the Open of a configuration. [For] makes it that of one
// connection. The error is that a file cannot be read or has no certificate.
func (o *Options) Config() (*tls.Config, error) {
	if o == nil {
		return &tls.Config{}, nil
	}
	c := &tls.Config{ServerName: o.ServerName, InsecureSkipVerify: o.Insecure, MinVersion: version(o.MinVersion)} // the operator says so
	if o.CAFile != "" {
		pem, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, err
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s: no certificate", o.CAFile)
		}
	}
	if o.CertFile != "" {
		p := &pair{cert: o.CertFile, key: o.KeyFile}
		if p.key == "" {
			p.key = p.cert
		}
		if _, err := p.certificate(nil); err != nil {
			return nil, err
		}
		c.GetClientCertificate = p.certificate
	}
	return c, nil
}

// For is a configuration for one connection: where it names no server, the certificate must be for host. nil, for no TLS, stays nil.
func For(c *tls.Config, host string) *tls.Config {
	if c == nil || c.ServerName != "" {
		return c
	}
	c = c.Clone()
	c.ServerName = host
	return c
}

// version is a version of TLS by its name; 0, the library's own choice, for any other.
func version(name string) uint16 {
	return map[string]uint16{"1.0": tls.VersionTLS10, "1.1": tls.VersionTLS11, "1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}[name]
}
