package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/vipward/vipward/tests/lab/fencer"
	"github.com/vipward/vipward/tests/lab/proc"
	"github.com/vipward/vipward/tests/lab/topology"
)

// hold is how long a takeover that must not be is waited for: what it waits for would have come by then.
const hold = down + 3*time.Second

// fenced is a pair of which each node can fence the other by a script that does as it is told, and what switches them off.
func fenced(t *T, fencing string) (*lab, *fencer.Switch) {
	text := "\n" + fencer.Block(t.Dir, 3*time.Second)
	for _, name := range []string{topology.LB1, topology.LB2} {
		text += "fencing \"" + name + "\" {\n" + fencing + "\n  level { devices = [\"" + fencer.Name + "\"] }\n}\n"
	}
	l := newPair(t, edit{"\nvrrp_instance \"web\" {", text + "\nvrrp_instance \"web\" {"})
	t.Must(fencer.Write(t.Dir, fencer.Confirms))
	power, err := fencer.NewSwitch(t.Dir)
	t.Must(err)
	t.Background(func(ctx context.Context) error { return power.Run(ctx, l.PowerOff) })
	return l, power
}

// powerOn has lb1 boot after it was switched off.
func (l *lab) powerOn(power *fencer.Switch) {
	l.Must(power.On(topology.LB1))
	l.Must(l.PowerOn(topology.LB1))
	l.local[topology.LB1].start()
	l.lb1.start()
}

// tells tells whether a director tells of an event.
func (d *director) tells(code string) bool {
	return len(d.since(0, func(o occurrence) bool { return o.Code == code })) > 0
}

// fenceRequired: the fencer confirms, and the node that is back takes no part until somebody says so.
func fenceRequired(t *T) {
	l, power := fenced(t, `  mode = "required"`)
	l.up()
	if a := l.lb2.command("fence", "confirm", "lb1", "--yes"); a.code != 5 {
		t.Errorf("that lb1 is off is answered with %d while it is heard, want 5: %s", a.code, a.errors)
	}
	l.lb1.kill()
	t.Figure("takeover after", l.lb2.await("MASTER", down+2*time.Second+slack))
	l.alone(topology.LB2)
	if !l.lb2.tells("fence.succeeded") || !power.Off(topology.LB1) {
		t.Errorf("lb2 does not tell that it has fenced lb1, or lb1 is not off: %v", power.Off(topology.LB1))
	}
	l.powerOn(power)
	l.lb1.await("FAULT", 5*time.Second)
	if s := l.lb1.status().Instances[0]; !strings.Contains(s.Reason, "lb2 had this node fenced") {
		t.Errorf("lb1 is %s: %s, want maintenance", s.State, s.Reason)
	}
	time.Sleep(down)
	l.alone(topology.LB2)
	l.lb1.do("maintenance", "off")
	l.lb1.await("MASTER", down+notice+slack)
	l.alone(topology.LB1)
}

// fenceFails: without a confirmation there is no takeover, until somebody confirms.
func fenceFails(t *T) {
	l, _ := fenced(t, `  mode = "required"`)
	l.up()
	t.Must(fencer.Write(t.Dir, fencer.Fails))
	l.lb1.kill()
	time.Sleep(hold)
	l.alone("")
	t.Eventually("lb2 tells that the fencing has failed", 20*time.Second, func() error {
		if !l.lb2.tells("fence.failed") {
			return errStill
		}
		return nil
	})
	l.lb2.explains(notFenced)
	l.lb2.do("fence", "confirm", "lb1", "--yes")
	l.lb2.await("MASTER", slack)
}

// fenceDry: a dry run, and a fencer that hangs in the mode best_effort, hold nothing up.
func fenceDry(t *T) {
	l, _ := fenced(t, "  mode    = { lb1 = \"best_effort\", lb2 = \"required\" }\n  dry_run = { lb1 = false, lb2 = true }")
	l.up()
	l.lb1.kill()
	l.lb2.await("MASTER", down+slack)
	t.Eventually("lb2 tells what it would have done", 10*time.Second, func() error {
		if !l.lb2.tells("fence.rehearsed") {
			return errStill
		}
		return nil
	})
	l.lb1.start()
	l.lb1.await("MASTER", down+notice+slack)
	t.Must(fencer.Write(t.Dir, fencer.Hangs))
	l.lb1.do("failover", "web")
	l.lb2.await("MASTER", slack)
	l.lb2.kill()
	l.lb1.await("MASTER", down+slack)
}

// fenceUnseen: a node that boots alone shoots at nobody.
func fenceUnseen(t *T) {
	l, _ := fenced(t, `  mode = "required"`)
	l.lb2.start()
	t.Eventually("lb2 tells why it does not fence", hold, func() error {
		if !l.lb2.tells("fence.blocked") {
			return errStill
		}
		return nil
	})
	time.Sleep(time.Second)
	if l.alone(""); l.lb2.tells("fence.started") {
		t.Errorf("lb2 has fenced a node that it never heard")
	}
	l.lb2.do("fence", "confirm", "lb1", "--yes")
	l.lb2.await("MASTER", slack)
}

// maintenance: a hand-over without a loss, and out over a restart.
func maintenance(t *T) {
	l := newPair(t)
	l.up()
	stop := l.measure(udp())
	time.Sleep(500 * time.Millisecond)
	l.lb1.do("maintenance", "on", "--reason", "a new disk")
	l.lb2.await("MASTER", slack)
	time.Sleep(time.Second)
	l.lossless("maintenance", stop(), "lb1", "lb2")
	l.lb1.terminate()
	l.lb1.start()
	l.lb1.await("FAULT", slack)
	l.lb2.kill()
	time.Sleep(hold)
	l.alone("")
	l.lb1.do("maintenance", "off")
	l.lb1.await("MASTER", down+notice+slack)
}

// witnessLost is a pair with a witness on a third machine, which is killed: who then holds the VIP, if anybody, the policy says.
func witnessLost(policy, owner string) func(*T) {
	return func(t *T) {
		l := newNet(t)
		l.echoes()
		block := fmt.Sprintf("\nwitness \"http\" \"third\" { url = \"http://%v:9116\" }\narbitration {\n  witness = \"third\"\n  witness_ttl = \"3s\"\n  on_witness_loss = %q\n}\n",
			l.Node(topology.Client).Addr, policy)
		l.directors("pair-vip.hcl", edit{"\nvrrp_instance \"web\" {", block + "\nvrrp_instance \"web\" {"})
		w := l.witness()
		time.Sleep(3 * time.Second) // it grants nothing before
		l.up()
		w.Kill()
		time.Sleep(8 * time.Second) // the end of the grant, and the peer's down interval
		l.Eventually("the VIP is where the policy says", moment, func() error { return l.owner(owner) })
		l.witness()
		l.Eventually("lb1 holds the VIP alone", 15*time.Second, func() error { return l.owner(topology.LB1) })
	}
}

// witness starts one on the client.
func (l *lab) witness() *proc.Process {
	l.Logf("vipward witness starts on %s", topology.Client)
	p, err := proc.Start(l.Node(topology.Client).NS, filepath.Join(l.Dir, "witness.log"), filepath.Join(l.Bin, "vipward"), "witness", "--max-ttl", "3s")
	l.Must(err)
	l.Cleanup(p.Kill)
	return p
}
