package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/vipward/vipward/tests/lab/topology"
)

const (
	rightKey = "a key of the laboratory that is not secret"
	wrongKey = "a key of the laboratory that does not fit"
)

// keys is a pair that signs its adverts: it works like any other, tells of a key that differs, by its identifier, and heals when the
// key is put right. Nobody follows an advert that anybody could have made, and the heartbeats keep it from becoming a second master.
func keys(t *T) {
	l := newNet(t)
	l.echoes()
	l.lb1 = l.director(topology.LB1, l.signed(topology.LB1))
	l.lb2 = l.director(topology.LB2, l.signed(topology.LB2))
	l.key(topology.LB1, rightKey)
	l.key(topology.LB2, rightKey)
	l.up()
	time.Sleep(down)
	for _, d := range []*director{l.lb1, l.lb2} {
		if sum := d.discarded(""); sum != 0 {
			t.Errorf("%s has discarded %d adverts of its peer", d.node.Name, sum)
		}
	}
	stop := l.measure(udp())
	time.Sleep(500 * time.Millisecond)
	l.lb1.do("failover", "web")
	l.lb2.await("MASTER", slack)
	time.Sleep(time.Second)
	l.lossless("failover", stop(), "lb1", "lb2")
	l.lb2.do("failover", "web")
	l.lb1.await("MASTER", slack)
	l.remembers(l.lb2)
	l.differ()
	l.agree()
}

// signed is the configuration of a pair with the key in a file of the node.
func (l *lab) signed(name string) string {
	block := fmt.Sprintf("  authentication {\n    type     = \"hmac\"\n    key_file = %q\n  }\n  advert_interval ", l.keyFile(name))
	return configuration(l.T, "pair-vip.hcl", edit{"  advert_interval ", block})
}

func (l *lab) keyFile(name string) string { return filepath.Join(l.Dir, name+".key") }

func (l *lab) key(name, text string) {
	l.Must(os.WriteFile(l.keyFile(name), []byte(text+"\n"), 0o600))
}

// remembers kills a backup and starts it again: it goes on from the numbers that it knows.
func (l *lab) remembers(d *director) {
	file := filepath.Join(d.dir, "state", d.node.Name+".marks.json")
	l.Eventually(d.node.Name+" has written what it has heard of lb1", 5*time.Second, func() error {
		text, err := os.ReadFile(file)
		if want := `"source":"` + l.Node(topology.LB1).Addr.String() + `"`; err == nil && !strings.Contains(string(text), want) {
			err = fmt.Errorf("%s has %s, want %s", file, text, want)
		}
		return err
	})
	d.kill()
	d.start()
	d.await("BACKUP", 5*time.Second)
	time.Sleep(2 * time.Second)
	if n := d.discarded(""); n > 0 {
		l.Errorf("after a restart %s has discarded %d adverts of its peer", d.node.Name, n)
	}
}

// differ gives lb2 another key. It hears no adverts any more, and by the heartbeats that lb1 is MASTER.
func (l *lab) differ() {
	l.key(topology.LB2, wrongKey)
	l.lb2.do("reload")
	l.Figure("held after", l.lb2.await("HOLD", down+slack))
	l.alone(topology.LB1)
	for code, texts := range map[string][]string{
		"instance.advert-discarded":   {"signed with key 1", "(auth)"},
		"instance.advert_path_broken": {"lb1"},
	} {
		l.Eventually("lb2 tells of "+code, 3*time.Second, func() error { return l.lb2.names(code, texts...) })
	}
	if l.lb2.discarded("auth") == 0 {
		l.Errorf("lb2 counts no advert with a wrong signature")
	}
	for _, d := range []*director{l.lb1, l.lb2} {
		for _, text := range []string{d.proc.Log(), d.do("status", "--json"), d.do("events", "--json")} {
			if strings.Contains(text, rightKey) || strings.Contains(text, wrongKey) {
				l.Errorf("%s shows its key", d.node.Name)
			}
		}
	}
}

// names says what is missing where no event of that code has all the texts in its reason.
func (d *director) names(code string, texts ...string) error {
	for _, o := range d.events() {
		if o.Code == code && !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(o.Reason, text) }) {
			return nil
		}
	}
	return fmt.Errorf("no event %s of %s has %q", code, d.node.Name, texts)
}

// agree gives lb2 the right key again.
func (l *lab) agree() {
	l.key(topology.LB2, rightKey)
	l.lb2.do("reload")
	l.Figure("healed after", l.lb2.await("BACKUP", 2*interval+slack))
	l.alone(topology.LB1)

	l.Must(os.Chmod(l.keyFile(topology.LB2), 0o644))
	if a := l.lb2.command("reload"); a.code != 3 || !strings.Contains(a.errors, "chmod 600") {
		l.Errorf("a reload with a key that everybody can read: exit %d %s, want 3 and what to do", a.code, a.errors)
	}
	l.alone(topology.LB1)
}

// discarded counts the adverts that the instance has discarded, for one reason or, where it is empty, for any.
func (d *director) discarded(reason string) (sum uint64) {
	for r, n := range d.status().Instances[0].Counters.Discarded {
		if reason == "" || r == reason {
			sum += n
		}
	}
	return sum
}
