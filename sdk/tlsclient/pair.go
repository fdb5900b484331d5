package tlsclient

import (
	"crypto/tls"
	"fmt"
	"os"
	"sync"
	"time"
)

// pair is a certificate and its key in files. A certificate that is renewed is taken at the next handshake, so that no check
// fails because the daemon was not told. It is safe for use by several handshakes at once.
type pair struct {
	cert, key string

	mu     sync.Mutex
	loaded *tls.Certificate
	stamp  [2]time.Time // of the files that loaded came from
}

// certificate is the pair as the files have it now. Where they are being replaced and do not fit, it is the former one.
func (p *pair) certificate(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	stamp, err := p.stamps()
	if p.loaded != nil && (err != nil || stamp == p.stamp) {
		return p.loaded, nil
	}
	if err != nil {
		return nil, err
	}
	c, err := tls.LoadX509KeyPair(p.cert, p.key)
	switch {
	case err == nil:
		p.loaded, p.stamp = &c, stamp
	case p.loaded == nil:
		return nil, fmt.Errorf("certificate %s with the key %s: %w", p.cert, p.key, err)
	}
	return p.loaded, nil
}

// stamps is when the files changed.
func (p *pair) stamps() ([2]time.Time, error) {
	var all [2]time.Time
	for i, path := range []string{p.cert, p.key} {
		info, err := os.Stat(path)
		if err != nil {
			return all, err
		}
		all[i] = info.ModTime()
	}
	return all, nil
}
