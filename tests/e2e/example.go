package e2e

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"time"

	"github.com/vipward/vipward/tests/lab/topology"
)

// examplePlugin: what the example's author wrote decides about a real server of a pair.
func examplePlugin(t *T) {
	greeting := make(chan string, 1)
	greeting <- "SSH-2.0-example\r\n"
	l := newNet(t)
	l.Background(func(ctx context.Context) error { return greet(ctx, l.Node(topology.RS1), greeting) })
	l.echoes()
	path := filepath.Join(t.Bin, "examples", "vipward-plugin-banner")
	l.directors("pair-vip.hcl", edit{`node "lb2"`, fmt.Sprintf(bannerService, path) + `node "lb2"`})
	l.up()
	for _, d := range []*director{l.lb1, l.lb2} {
		l.Eventually(d.node.Name+" has the server up", 10*time.Second, func() error { return d.serverIs("up") })
	}
	<-greeting
	greeting <- "220 mail\r\n"
	for _, d := range []*director{l.lb1, l.lb2} {
		l.Eventually(d.node.Name+" has the server down", 10*time.Second, func() error { return d.serverIs("down") })
	}
	if reason := l.lb1.status().Services[0].RealServers[0].Reason; reason != `greeting "220 mai"` {
		t.Errorf("the reason is %q, want what the plugin said", reason)
	}
	l.alone(topology.LB1)
}

// bannerService is put before the second node of the pair's configuration.
const bannerService = `plugin "banner" { path = %q }
virtual_server "ssh" {
  address = "10.77.0.100:22"
  forward = "nat"
  real_server "10.77.0.11:22" {}
  check "banner" {
    interval = "500ms"
    timeout  = "300ms"
    fall     = 2
  }
}
`

// serverIs says what is wrong when the only real server is not in that state.
func (d *director) serverIs(state string) error {
	if got := d.status().Services[0].RealServers[0].State; got != state {
		return fmt.Errorf("it is %s", got)
	}
	return nil
}

// greet accepts on port 22 of a node and says what the channel holds.
func greet(ctx context.Context, node *topology.Node, greeting chan string) error {
	var l net.Listener
	err := node.Do(func() (err error) {
		l, err = net.Listen("tcp4", net.JoinHostPort(node.Addr.String(), "22"))
		return err
	})
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { _ = l.Close() })
	for {
		conn, err := l.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		text := <-greeting
		greeting <- text
		_, _ = conn.Write([]byte(text)) // a checker that has gone is no failure
		_ = conn.Close()
	}
}
