package tlsclient

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"time"
)

// Checked is the block of a checker that also looks at how long the certificate is valid. A nil *Checked stands for the defaults.
type Checked struct {
	Options
	ExpiresWithin time.Duration `vipward:"expires_within" min:"0s" doc:"Warn when the certificate expires within this time, as 720h for 30 days. Default: never."`
}

// Validate is [Options.Validate].
func (c *Checked) Validate(block string) error { return c.options().Validate(block) }

// Config is [Options.Config].
func (c *Checked) Config() (*tls.Config, error) { return c.options().Config() }

func (c *Checked) options() *Options {
	if c == nil {
		return nil
	}
	return &c.Options
}

// Expiring says that the certificate of a connection expires within ExpiresWithin from now; it is empty where it does not.
func (c *Checked) Expiring(s tls.ConnectionState, now time.Time) string {
	left := Left(s, now)
	if c == nil || c.ExpiresWithin <= 0 || left > c.ExpiresWithin || len(s.PeerCertificates) == 0 {
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
