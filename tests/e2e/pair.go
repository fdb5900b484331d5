package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/vipward/vipward/tests/lab/topology"
)

// servers of the example, as IPVS and the status name them.
const (
	server1 = "10.77.0.11:80"
	server2 = "10.77.0.12:80"
)

// serving waits until both directors have both real servers in IPVS.
func (l *lab) serving() {
	for _, d := range []*director{l.lb1, l.lb2} {
		l.Eventually("IPVS of "+d.node.Name+" has both servers", 10*time.Second, func() error {
			for _, s := range []string{server1, server2} {
				if err := d.has(s, true); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

// has says what is wrong when IPVS has, or has not, that server with weight 1.
func (d *director) has(server string, want bool) error {
	line := fmt.Sprintf("-a -t %v:80 -r %s -g -w 1\n", topology.VIP, server)
	if table := d.table(); strings.Contains(table, line) != want {
		return fmt.Errorf("want %s in IPVS: %v, the table of %s is %q", server, want, d.node.Name, table)
	}
	return nil
}

func pairUp(t *T) {
	l := newService(t)
	l.up()
	l.serving()

	table := l.lb1.table()
	if service := "-A -t 10.77.0.100:80 -s rr\n"; !strings.HasPrefix(table, service) || strings.Count(table, "\n") != 3 {
		t.Errorf("the table of lb1 is %q, want %q and two servers", table, service)
	}
	stop := l.measure(requests())
	time.Sleep(3 * time.Second)
	flow := stop().HTTP
	if by := flow.By(); by["rs1"] == 0 || by["rs2"] == 0 || len(flow.Lost()) > 0 {
		t.Errorf("answers came from %v with %d lost, want both servers and none lost", by, len(flow.Lost()))
	}
	checkStatus(t, l.lb1)
	checkNotified(t)
}

// checkStatus compares the keys of the status with those that the documentation promises.
func checkStatus(t *T, d *director) {
	var doc map[string]any
	if err := json.Unmarshal([]byte(d.do("status", "--json")), &doc); err != nil {
		t.Fatalf("vipward status --json is no JSON object: %v", err)
	}
	for path, keys := range map[string]string{
		"":                             "format version node config_hash started ready instances services plugins",
		"instances":                    "name interface family virtual_router_id version state since reason priority effective_priority advert_interval_ms preempt addresses master tracks counters",
		"instances/addresses":          "address held lease_ms",
		"instances/master":             "address priority last_advert_ms",
		"instances/tracks":             "name state weight",
		"instances/counters":           "adverts_sent adverts_received became_master discarded",
		"instances/counters/discarded": "checksum",
		"services":                     "name address protocol scheduler forward up real_servers",
		"services/real_servers":        "address state weight effective_weight reason since active_connections inactive_connections",
		"plugins":                      "name kind state pid restarts version",
	} {
		object := descend(doc, path)
		for key := range strings.FieldsSeq(keys) {
			if _, ok := object[key]; !ok {
				t.Errorf("vipward status --json has no key %q in %q", key, path)
			}
		}
	}
	if got, want := fmt.Sprintf("%v %v %v", doc["format"], doc["node"], doc["ready"]), "1 lb1 true"; got != want {
		t.Errorf("format, node and ready are %s, want %s", got, want)
	}
}

// descend follows a path of keys, through the first element of a list. It is empty where the path does not lead.
func descend(object map[string]any, path string) map[string]any {
	for key := range strings.SplitSeq(path, "/") {
		if key == "" {
			continue
		}
		next := object[key]
		if list, ok := next.([]any); ok && len(list) > 0 {
			next = list[0]
		}
		object, _ = next.(map[string]any)
	}
	return object
}

// checkNotified waits for the call of the script that keepalived's users have.
func checkNotified(t *T) {
	const want = "INSTANCE web MASTER 150\n"
	t.Eventually("the notify script has been called", 5*time.Second, func() error {
		text, _ := os.ReadFile(notified(t))
		if !strings.Contains(string(text), want) {
			return fmt.Errorf("it wrote %q, want a line with %q", text, want)
		}
		return nil
	})
}
