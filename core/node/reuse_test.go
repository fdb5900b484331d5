package node

import (
	"reflect"
	"testing"
	"time"

	"github.com/vipward/vipward/core/health"
)

func sameService(a, b Service) bool { return reflect.DeepEqual(a, b) }

// TestAServiceThatIsReusedIsAsOneThatIsMadeAnew reloads every kind of change twice, with and without Reuse, and lets checks go on.
func TestAServiceThatIsReusedIsAsOneThatIsMadeAnew(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"nothing":             func(*Config) {},
		"a weight":            func(c *Config) { c.Services[0].RealServers[1].Destination.Weight = 9 },
		"a check":             func(c *Config) { c.Services[0].RealServers[1].Checks[0].Health.Fall = 5 },
		"a server less":       func(c *Config) { c.Services[0].RealServers = c.Services[0].RealServers[1:] },
		"the quorum":          func(c *Config) { c.Services[0].Quorum = 40 },
		"the scheduler":       func(c *Config) { c.Services[0].Service.Scheduler = "mh" },
		"no service":          func(c *Config) { c.Services = nil },
		"another name":        func(c *Config) { c.Services[0].Name = "other" },
		"a further one":       func(c *Config) { c.Services = append(c.Services, c.Services[0]); c.Services[1].Name = "other" },
		"something elsewhere": func(c *Config) { c.Instances[0].VRRP.Priority = 7 },
	} {
		var rigs [2]*rig
		for k := range rigs {
			r := start(t, pool(4, 10, nil))
			r.see(health.Pass, 11, 12, 13)
			r.see(health.Fail, 14)
			after := pool(4, 10, nil)
			change(&after)
			if k == 1 {
				after = Reuse(r.node.cfg, after, sameService)
			}
			r.now = r.now.Add(time.Second)
			r.take(r.node.Configure(r.now, after))
			r.see(health.Fail, 12)
			r.see(health.Pass, 14)
			rigs[k] = r
		}
		plain, reused := rigs[0], rigs[1]
		if a, b := plain.node.Snapshot(plain.now), reused.node.Snapshot(reused.now); !reflect.DeepEqual(a, b) {
			t.Errorf("%s: the status is %+v with Reuse, want %+v", name, b.Services, a.Services)
		}
		if a, b := plain.node.wish(plain.now), reused.node.wish(reused.now); !reflect.DeepEqual(a, b) {
			t.Errorf("%s: the wish is %+v with Reuse, want %+v", name, b.Services, a.Services)
		}
		if !reflect.DeepEqual(plain.events, reused.events) {
			t.Errorf("%s: the events are %q with Reuse, want %q", name, reused.events, plain.events)
		}
	}
}

func TestReuseTakesNothingThatHasChanged(t *testing.T) {
	before, same := pool(2, 1, nil), pool(2, 1, nil)
	if !before.Services[0].shared(Reuse(before, same, sameService).Services[0]) {
		t.Error("the same service was not taken from the configuration before")
	}
	if same.Services[0].shared(before.Services[0]) {
		t.Error("Reuse has changed its argument")
	}
	same.Services[0].Omega = true
	if got := Reuse(before, same, sameService).Services[0]; got.shared(before.Services[0]) || !got.Omega {
		t.Error("a service that differs was taken from the configuration before")
	}
}
