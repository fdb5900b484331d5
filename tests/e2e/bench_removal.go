package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/vipward/vipward/tests/lab/netns"
	"github.com/vipward/vipward/tests/lab/topology"
)

// benchRemoval measures how long a dead server stays in IPVS.
func benchRemoval(bin string, rounds int, out io.Writer) error {
	fmt.Fprintf(out, "A TCP check each second, down at the second failure: from a server's end to its removal from IPVS, median (least to most) of %d rounds.\n\n", rounds)
	fmt.Fprintln(out, "| the server | vipward | keepalived |")
	fmt.Fprintln(out, "|---|---|---|")
	rows := [2][2][]time.Duration{}
	for k, start := range []func(*lab){startOneChecked, startOneCheckedByKeepalived} {
		err := once(bin, "removal", func(t *T) {
			l := newNet(t)
			start(l)
			for i := range 2 * rounds {
				took := l.removal(i%2 == 1, time.Duration(i/2)*time.Second/time.Duration(rounds))
				rows[i%2][k] = append(rows[i%2][k], took)
			}
		})
		if err != nil {
			return err
		}
	}
	for i, name := range []string{"refuses connections", "is silent"} {
		fmt.Fprintf(out, "| %s | %s | %s |\n", name, spread(rows[i][0]), spread(rows[i][1]))
	}
	return nil
}

// removal ends the server on rs1, waits until it has left and brings it back. Its end is that long after a check, or a whole second later:
// the rounds go through all of the time between two checks, since by when it ends a server stays up to a second longer.
func (l *lab) removal(silent bool, after time.Duration) time.Duration {
	node := l.Node(topology.LB1)
	await := func(want int, within time.Duration) time.Duration {
		return l.Eventually(fmt.Sprintf("IPVS has %d real servers", want), within, func() error {
			if got := inIPVS(node); got != want {
				return fmt.Errorf("it has %d", got)
			}
			return nil
		})
	}
	stop := l.accept(l.Node(topology.RS1).NS)
	await(1, 20*time.Second)
	time.Sleep(time.Second + after)
	if silent {
		l.Must(l.Deaf(topology.RS1))
	} else {
		stop()
	}
	took := await(0, 20*time.Second)
	if silent {
		l.Must(l.Heal(topology.RS1))
		stop()
	}
	return took
}

// accept takes connections at port 80 of rs1 until it is stopped.
func (l *lab) accept(ns *netns.NS) (stop func()) {
	var listener net.Listener
	l.Must(ns.Do(func() (err error) { listener, err = net.Listen("tcp4", "10.77.0.11:80"); return err }))
	go func() {
		for {
			conn, err := listener.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				_ = conn.Close()
			}
		}
	}()
	l.Cleanup(func() { _ = listener.Close() })
	return func() { _ = listener.Close() }
}

func startOneChecked(l *lab) {
	l.newDirector(topology.LB1, "node \"lb1\" { address = \"10.77.0.1\" }\nvirtual_server \"web\" {\n  address = \"10.77.0.100:80\"\n  forward = \"dr\"\n"+
		"  real_server \"10.77.0.11:80\" {}\n  check \"tcp\" {\n    interval = \"1s\"\n    timeout  = \"1s\"\n    fall     = 2\n  }\n}\n").start()
}

func startOneCheckedByKeepalived(l *lab) {
	l.checkingKeepalived("global_defs {\n router_id bench\n}\nvirtual_server 10.77.0.100 80 {\n delay_loop 1\n lvs_sched rr\n lvs_method DR\n protocol TCP\n" +
		" real_server 10.77.0.11 80 {\n  weight 1\n  TCP_CHECK {\n   connect_timeout 1\n   retry 1\n   delay_before_retry 1\n  }\n }\n}\n")
}
