package config

import (
	"time"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// What a call of a fencer may take: power controllers take seconds, seldom a minute.
const (
	fenceTimeout      = 20 * time.Second
	leastFenceTimeout = time.Second
	mostFenceTimeout  = time.Minute
)

// readFencers reads what can take the power or the network away from a node.
func (l *loading) readFencers(kids map[string][]kid) {
	for _, k := range kids["fencer"] {
		c := l.openComponent(k, pluginv1.Kind_FENCER, spec{attrs: []string{"timeout"}}, false)
		f := Fencer{
			Kind: c.name, Name: k.Labels[1],
			Timeout: c.duration("timeout", fenceTimeout, span{
				least: leastFenceTimeout, most: mostFenceTimeout, why: "One call of a fencer may take 1s to 60s.",
			}),
		}
		f.Config, _ = c.decode()
		l.cfg.Fencers = append(l.cfg.Fencers, f)
	}
}
