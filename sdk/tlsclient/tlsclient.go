// Package tlsclient is the block tls of plugins that speak TLS as clients: the same attributes in each of them, certificates
// verified unless the operator says otherwise, and a warning before one expires. It is not for servers.
package tlsclient

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/vipward/vipward/sdk"
)

// Options is the block. In a configuration it is a field such as
//
//	TLS *tlsclient.Options `vipward:"tls,block" doc:"Speak TLS."`
//
// A nil *Options, which is a block that is not there, stands for the defaults.
type Options struct {
	ServerName    string        `vipward:"server_name" doc:"Name that is asked for (SNI) and that the certificate must carry. Default: that of the target."`
	CAFile        string        `vipward:"ca_file" doc:"File with the certificates to trust, in PEM. Default: the system's."`
	CertFile      string        `vipward:"cert_file" doc:"File with the client's own certificate and its chain, in PEM. Read again when it changes."`
	KeyFile       string        `vipward:"key_file" doc:"File with the key of cert_file, in PEM. Default: cert_file has it, too."`
	ExpiresWithin time.Duration `vipward:"expires_within" min:"0s" doc:"Warn when the certificate expires within this time, as 720h for 30 days. Default: never."`
	MinVersion    string        `vipward:"min_version" default:"1.2" one_of:"1.0,1.1,1.2,1.3" doc:"Oldest version of TLS to accept."`
	Insecure      bool          `vipward:"insecure" doc:"Do not verify the certificate."`
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

// Config is what [tls.Client] needs, read once, for the Open of a configuration. Where ServerName is not set, the caller clones it
// and sets that of the target. The error is that a file cannot be read or has no certificate.
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

// version is a version of TLS by its name; 0, the library's own choice, for any other.
func version(name string) uint16 {
	return map[string]uint16{"1.0": tls.VersionTLS10, "1.1": tls.VersionTLS11, "1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}[name]
}

// Expiring says that the certificate of a connection expires within ExpiresWithin from now; it is empty where it does not.
func (o *Options) Expiring(s tls.ConnectionState, now time.Time) string {
	left := Left(s, now)
	if o == nil || o.ExpiresWithin <= 0 || left > o.ExpiresWithin || len(s.PeerCertificates) == 0 {
		return ""
	}
	return fmt.Sprintf("the certificate expires in %s, at %s", days(left), now.Add(left).UTC().Format(time.RFC3339))
}

// days is a time as people say it: days, or below two of them hours.
func days(d time.Duration) string {
	if d < 48*time.Hour {
		return fmt.Sprintf("%.0f h", d.Hours())
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// Left is how long the certificate of a connection remains valid: the server's own, or that of its issuers which expires first.
// It is negative where that has been so, which only an insecure client sees.
func Left(s tls.ConnectionState, now time.Time) time.Duration {
	var end time.Time
	for _, chain := range s.VerifiedChains {
		if e := earliest(chain); e.After(end) { // one good chain is enough
			end = e
		}
	}
	if end.IsZero() && len(s.PeerCertificates) > 0 {
		end = s.PeerCertificates[0].NotAfter
	}
	return end.Sub(now)
}

func earliest(chain []*x509.Certificate) time.Time {
	end := chain[0].NotAfter
	for _, c := range chain[1:] {
		if c.NotAfter.Before(end) {
			end = c.NotAfter
		}
	}
	return end
}
