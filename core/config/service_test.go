package config

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/event"
	"github.com/vipward/vipward/core/node"
)

// serviceWith is a virtual server that holds the text; its line 2 is the first of the text.
func serviceWith(text string) string { return "virtual_server \"web\" {\n" + text + "\n}\n" }

func theService(t *testing.T, text string) node.Service {
	t.Helper()
	return mustLoad(t, text, "a").Node.Services[0]
}

func TestAnIPv6Service(t *testing.T) {
	s := theService(t, serviceWith(`address = "[2001:db8::100]:80"
  forward = "nat"
  persistence = "1m"
  persistence_granularity = 64
  real_server "[2001:db8::11]:8080" {}`))
	if s.Service.Address.String() != "[2001:db8::100]:80" || s.Service.Granularity != 64 || s.RealServers[0].Destination.Address.String() != "[2001:db8::11]:8080" {
		t.Errorf("the service is %+v", s)
	}
}

func TestEveryFieldOfAService(t *testing.T) {
	got := theService(t, serviceWith(`address = "10.0.0.100:5060"
  protocol = "udp"
  scheduler = "mh"
  scheduler_flags = ["mh-port", "mh-fallback"]
  one_packet = true
  persistence = "5m"
  persistence_engine = "sip"
  forward = "tun"
  quorum = 3
  hysteresis = 1
  alpha = true
  omega = true
  max_ejected = "50%"
  slow_start = "30s"
  damping { failures = 4 }
  sorry_server "10.0.0.99:5060" {
    forward = "dr"
    inhibit = true
  }
  real_server "10.0.0.11:5060" {
    weight = 100
    upper_threshold = 1000
    lower_threshold = 900
    tunnel {
      type = "gue"
      port = 6080
      checksum = "remote"
    }
  }
  real_server "10.0.0.12:5060" {
    weight = 50
    tunnel { type = "gre" }
  }`))
	v := got.Service
	if v.Protocol != desired.UDP || v.Scheduler != "mh" || v.Flags != desired.OnePacket|desired.SourcePort|desired.Fallback || v.Engine != "sip" {
		t.Errorf("the service is %+v", v)
	}
	if got.Quorum != 3 || got.Hysteresis != 1 || !got.Omega || got.MaxEjected != 50 || got.SlowStart != 30*time.Second {
		t.Errorf("the pool is %+v", got)
	}
	if want := (node.Damping{Failures: 4, Window: 5 * time.Minute, Hold: time.Minute}); got.Damping != want {
		t.Errorf("damping is %+v, want %+v", got.Damping, want)
	}
	if s := got.Sorry; s == nil || s.Destination.Forward != desired.DR || !s.Inhibit || s.Destination.Weight != 1 {
		t.Errorf("the sorry server is %+v", s)
	}
	want := desired.Tunnel{Type: desired.GUE, Port: 6080, Checksum: desired.RemoteChecksum}
	if d := got.RealServers[0].Destination; d.Tunnel != want || d.UpperThreshold != 1000 || d.LowerThreshold != 900 {
		t.Errorf("the first server is %+v", d)
	}
	if d := got.RealServers[1].Destination; d.Tunnel != (desired.Tunnel{Type: desired.GRE}) {
		t.Errorf("the second server is %+v", d)
	}
}

func TestAGroupOfAddresses(t *testing.T) {
	const servers = "\n  forward = \"dr\"\n  real_server \"10.0.0.11:443\" {}"
	for _, c := range []struct{ addresses, want string }{
		{`"10.0.0.100:80", "10.0.0.100:443"`, "tcp 10.0.0.100:80,tcp 10.0.0.100:443"},
		{`"10.0.0.100-10.0.0.102:443"`, "tcp 10.0.0.100:443,tcp 10.0.0.101:443,tcp 10.0.0.102:443"},
		{`"10.0.0.100/31:442-443"`, "tcp 10.0.0.100:442,tcp 10.0.0.100:443,tcp 10.0.0.101:442,tcp 10.0.0.101:443"},
		{`"10.0.0.100:443", "10.0.0.100-10.0.0.101:443"`, "tcp 10.0.0.100:443,tcp 10.0.0.101:443"},
	} {
		var got []string
		for _, k := range theService(t, serviceWith("addresses = ["+c.addresses+"]"+servers)).Keys() {
			got = append(got, k.String())
		}
		if strings.Join(got, ",") != c.want {
			t.Errorf("%s are %q, want %s", c.addresses, got, c.want)
		}
	}
}

func TestAGroupWithAMarkIsOneService(t *testing.T) {
	s := theService(t, serviceWith(`addresses = ["10.0.0.0/16:1-65535", "10.1.0.1:53"]
  protocol = "udp"
  fwmark = 7
  forward = "dr"
  real_server "10.0.0.11:53" {}`))
	if keys := s.Keys(); len(keys) != 1 || keys[0] != desired.Marked(7, false) {
		t.Errorf("the services are %v, want one by the mark 7", keys)
	}
	if m := s.Markings; len(m) != 2 || m[0].Mark != 7 || m[0].Last.String() != "10.0.255.255" || m[0].LastPort != 65535 || m[1].FirstPort != 53 || m[1].Protocol != desired.UDP {
		t.Errorf("the markings are %+v", m)
	}
}

func TestWhoIsNamedForTheQuorumHearsOfServices(t *testing.T) {
	c := mustLoad(t, "notifier \"exec\" \"up\" { command = [] }\nnotifier \"exec\" \"other\" { command = [] }\n"+
		serviceWith("address = \"10.0.0.100:80\"\nforward = \"dr\"\nquorum_up = [\"up\"]\nreal_server \"10.0.0.11:80\" {}"), "a")
	for _, n := range c.Notifiers {
		if hears := slices.Contains(n.Kinds, event.Service); hears != (n.Name == "up") {
			t.Errorf("notifier %s hears of services: %v", n.Name, hears)
		}
	}
}

func TestTimeoutsOfIPVS(t *testing.T) {
	c := mustLoad(t, "ipvs {\n timeout_tcp = \"10m\"\n timeout_udp = \"30s\"\n}", "a")
	if want := (desired.Timeouts{TCP: 10 * time.Minute, UDP: 30 * time.Second}); c.Node.Timeouts != want {
		t.Errorf("the time-outs are %+v, want %+v", c.Node.Timeouts, want)
	}
}

func TestAnInstanceTracksAService(t *testing.T) {
	c := mustLoad(t, instanceWith("web", "virtual_address \"10.0.0.100/32\" {}\ntrack \"virtual_server\" {\n name = \"web\"\n weight = -60\n}")+around(""), "a")
	want := node.Track{Kind: node.TrackService, Name: "web", Weighted: true, Weight: -60}
	if got := c.Node.Instances[0].Tracks; len(got) != 1 || got[0] != want {
		t.Errorf("the tracks are %+v, want %+v", got, want)
	}
}

func TestFaultsOfAService(t *testing.T) {
	// with is a service over TCP by DR with one server, changed by lines 2 and on.
	with := func(lines string) string {
		return serviceWith(lines + "\naddress = \"10.0.0.100:80\"\nforward = \"dr\"\nreal_server \"10.0.0.11:80\" {}")
	}
	server := func(lines string) string {
		return serviceWith("address = \"10.0.0.100:80\"\nforward = \"dr\"\nreal_server \"10.0.0.11:80\" {\n" + lines + "\n}")
	}
	group := func(addresses string) string {
		return serviceWith("addresses = [" + addresses + "]\nforward = \"dr\"\nreal_server \"10.0.0.11:80\" {}")
	}
	for _, c := range []struct {
		name, text string
		line       int
		want       string
	}{
		{"a scheduler that the kernel lacks", with(`scheduler = "wrrr"`), 2, `scheduler cannot be "wrrr"`},
		{"DR with another port", serviceWith("address = \"10.0.0.100:80\"\nforward = \"dr\"\nreal_server \"10.0.0.11:8080\" {}"), 4, "has another port than the service"},
		{"DR with a port that the group lacks", serviceWith("addresses = [\"10.0.0.100:80-90\"]\nforward = \"dr\"\nreal_server \"10.0.0.11:91\" {}"), 4, `Write "10.0.0.11:80"`},
		{"a mark that nothing gives", serviceWith("fwmark = 7\nforward = \"dr\"\nreal_server \"10.0.0.11:80\" {}"), 2, "nothing here gives packets the mark 7"},
		{"a protocol of a mark", serviceWith("fwmark = 7\nprotocol = \"udp\"\nforward = \"dr\"\nreal_server \"10.0.0.11:80\" {}"), 3, "whatever its protocol"},
		{"a VIP that no instance holds", instanceWith("web", `virtual_address "10.0.0.1/32" {}`) + with(""), 8, "no vrrp_instance holds 10.0.0.100"},
		{"an address of a group that no instance holds", instanceWith("web", `virtual_address "10.0.0.100/32" {}`) + group(`"10.0.0.100-10.0.0.101:80"`), 7, "no vrrp_instance holds 10.0.0.101"},
		{"a weight over 65535", server("weight = 65536"), 5, "A weight is 0 to 65535; 0 takes no new connections. This is 65536"},
		{"a server twice", with("real_server \"10.0.0.11:80\" {}"), 5, "real_server 10.0.0.11:80 is declared twice"},
		{"a server of the other family by DR", with(`real_server "[2001:db8::11]:80" {}`), 2, "is not of the family of the service"},
		{"no address at all", serviceWith("forward = \"dr\"\nreal_server \"10.0.0.11:80\" {}"), 1, "has no address"},
		{"an address and a group", with(`addresses = ["10.0.0.101:80"]`), 3, "has address and addresses"},
		{"an address and a mark", with("fwmark = 7"), 3, "has address and fwmark"},
		{"an empty group", group(""), 2, "addresses is empty"},
		{"a group without ports", group(`"10.0.0.100"`), 2, "The port is missing"},
		{"a group with a range that goes down", group(`"10.0.0.100-10.0.0.99:80"`), 2, "A range goes up"},
		{"a group with ports that go down", group(`"10.0.0.100:80-79"`), 2, "a range goes up"},
		{"a group of both families", group(`"10.0.0.100:80", "[2001:db8::1]:80"`), 2, "addresses has IPv4 and IPv6"},
		{"a group that is too large", group(`"10.0.0.0/16:80"`), 2, "Add fwmark = 1"},
		{"a group with an address of another service", with("") + strings.Replace(group(`"10.0.0.99-10.0.0.100:80"`), `"web"`, `"two"`, 1), 8, "10.0.0.100:80 over tcp is declared twice"},
		{"two services of one mark", serviceWith("fwmark = 7\nforward = \"nat\"") + strings.Replace(serviceWith("fwmark = 7\nforward = \"nat\""), `"web"`, `"two"`, 1), 6, "fwmark 7 is declared twice"},
		{"a flag of another scheduler", with("scheduler = \"sh\"\nscheduler_flags = [\"mh-port\"]"), 3, `flag "mh-port" with scheduler = "sh"`},
		{"a flag that there is not", with("scheduler = \"sh\"\nscheduler_flags = [\"sh-prot\"]"), 3, `Did you mean "sh-port"?`},
		{"one packet over TCP", with("one_packet = true"), 2, `one_packet with protocol = "tcp"`},
		{"an engine without persistence", with("protocol = \"udp\"\npersistence_engine = \"sip\""), 3, "persistence_engine without persistence"},
		{"an engine over TCP", with("persistence = \"1m\"\npersistence_engine = \"sip\""), 3, `persistence_engine = "sip" with protocol = "tcp"`},
		{"a granularity beyond the family", with("persistence = \"1m\"\npersistence_granularity = 33"), 3, "1 to 32"},
		{"a hysteresis as high as the quorum", with("hysteresis = 1"), 2, "hysteresis is not below quorum"},
		{"a quorum that is never reached", with("quorum = 2"), 2, "the quorum is never reached"},
		{"a share that is none", with(`max_ejected = "half"`), 2, `max_ejected "half" is no share`},
		{"a share of nothing", with(`max_ejected = "50%"`), 2, `Write at least "100%"`},
		{"a slow start of the weight 1", with(`slow_start = "30s"`), 2, "slow_start does nothing for a weight of 1"},
		{"damping after one failure", with("damping { failures = 1 }"), 2, "The number of failures is 2 to 1000"},
		{"an initial verdict against alpha", with("alpha = true\ncheck \"http\" {\n initial = \"up\"\n}"), 4, `initial = "up" with alpha = true`},
		{"a notifier of the quorum that there is not", with(`quorum_up = ["ops"]`), 2, `no notifier "ops"`},
		{"two sorry servers", with("sorry_server \"10.0.0.98:80\" {}\nsorry_server \"10.0.0.99:80\" {}"), 3, "more than one sorry_server"},
		{"a sorry server with another port", with(`sorry_server "10.0.0.99:81" {}`), 2, "has another port than the service"},
		{"a tunnel without tun", server("tunnel {}"), 5, `tunnel with forward = "dr"`},
		{"GUE without a port", server("forward = \"tun\"\ntunnel {\n type = \"gue\"\n}"), 6, `tunnel of type "gue" without a port`},
		{"GRE with a port", server("forward = \"tun\"\ntunnel {\n type = \"gre\"\n port = 1\n}"), 8, `tunnel of type "gre" with a port`},
		{"IP in IP with a checksum", server("forward = \"tun\"\ntunnel {\n checksum = \"full\"\n}"), 7, "IP in IP has no place for one"},
		{"GRE with a remote checksum", server("forward = \"tun\"\ntunnel {\n type = \"gre\"\n checksum = \"remote\"\n}"), 8, "GUE alone has it"},
		{"a time-out beyond seconds", "ipvs {\n timeout_tcp = \"1500ms\"\n}", 2, "timeout_tcp is no multiple of 1s"},
		{"a track of no service", instanceWith("web", "virtual_address \"10.0.0.100/32\" {}\ntrack \"virtual_server\" {\n name = \"wbe\"\n}") + with(""), 6, `no virtual_server "wbe"`},
		{"a service on a VIP that takes no packets", instanceWith("web", "virtual_address \"10.0.0.100/32\" {}\naccept = false") + group(`"10.0.0.99-10.0.0.101:80"`), 5, "accept = false, and virtual_server"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, diags := loadText(t, c.text, Options{Node: "a", Plugins: plugins()})
			for _, d := range diags {
				if d.Line == c.line && strings.Contains(flat(Diagnostics{d}), c.want) {
					return
				}
			}
			t.Errorf("no diagnostic on line %d with %q:\n%s", c.line, c.want, textOf(diags))
		})
	}
}

func TestATunnelReachesTheOtherFamily(t *testing.T) {
	s := theService(t, serviceWith(fmt.Sprintf("address = %q\nforward = \"tun\"\nreal_server %q {}", "10.0.0.100:80", "[2001:db8::11]:80")))
	if len(s.RealServers) != 1 {
		t.Errorf("the service is %+v", s)
	}
}
