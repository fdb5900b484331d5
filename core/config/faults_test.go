package config

import (
	"fmt"
	"strings"
	"testing"
)

// around is a service whose check holds the text.
func around(check string) string {
	return "virtual_server \"web\" {\n  address = \"10.0.0.100:80\"\n  forward = \"dr\"\n  real_server \"10.0.0.11:80\" {}\n" +
		"  check \"http\" {\n" + check + "\n  }\n}\n"
}

// instanceWith is an instance that holds the text.
func instanceWith(name, text string) string {
	return "vrrp_instance \"" + name + "\" {\n  interface = \"eth0\"\n  virtual_router_id = 51\n" + text + "\n}\n"
}

// syncWith exchanges the connections of the instance "web" over eth0; its third line is the text.
func syncWith(text string) string {
	return "ipvs {\n sync {\n" + text + "\n  interface = \"eth0\"\n  instance = \"web\"\n }\n}\n"
}

// lacksMH is a machine without the scheduler mh.
func lacksMH(scheduler string) string {
	if scheduler == "mh" {
		return "Linux 6.1.0 of this machine has no module ip_vs_mh"
	}
	return ""
}

func manyAddresses(n int) string {
	return fmt.Sprintf("dynamic \"virtual_address\" {\n for_each = range(%d)\n labels = [\"${cidrhost(\"10.1.0.0/16\", virtual_address.value + 1)}/32\"]\n content {}\n}", n)
}

func TestFaults(t *testing.T) {
	const vip = `  virtual_address "10.0.0.100/32" {}`
	for _, c := range []struct {
		name, text string
		line       int
		want       string
	}{
		// What plugins declare.
		{"a required attribute is missing", `notifier "exec" "x" {}`, 1, "has no command"},
		{"an unknown attribute lists the known ones", around("zzzzzz = 1"), 6, "Its attributes are interval, timeout"},
		{"a number below its least, in a list", around("status = [\n200,\n99]"), 8, "It is at least 100; this is 99"},
		{"a duration above its most", around(`grace = "9s"`), 6, "It is at most 5s; this is 9s"},
		{"a duration without a unit", around(`grace = 3`), 6, `write "3s" for seconds`},
		{"a text that does not fit its pattern", around(`digest = "XYZ"`), 6, "digest does not have the right form"},
		{"a text that is none of a few", around("digest = \"" + strings.Repeat("a", 32) + "\"\nalgorithm = \"md55\""), 7, `Did you mean "md5"?`},
		{"an attribute that needs another", around(`algorithm = "md5"`), 6, "algorithm needs digest"},
		{"an attribute that excludes another", around("path = \"/\"\nurl = \"http://a/\""), 6, "path and url exclude each other"},
		{"an address that is none", around(`from = "web"`), 6, "from is not an address"},
		{"a map that is none", around(`headers = ["a"]`), 6, "headers is not a map"},
		{"an element of a map that is no text", around("headers = {\n a = [1]\n}"), 7, "headers is not a text in quotes"},
		{"true or false that is neither", around(`tls = "maybe"`), 6, "tls is not true or false"},
		{"a required attribute of a nested block", around(`header "a" {}`), 6, "has no value"},
		{"too many nested blocks", around("header \"a\" { value = 1 }\nheader \"b\" { value = 1 }\nheader \"c\" { value = 1 }"), 8, "It takes at most 2 and has 3"},
		{"a value twice in a set", `notifier "mail" "x" {` + "\nserver = \"10.0.0.1:25\"\nto = [\n\"a\",\n\"a\"]\n}", 5, "to has the same value twice"},
		{"a deprecated attribute", around(`uri = "/"`), 6, "Warning: uri is deprecated on"},
		// What plugins find or fail to do.
		{"the plugin's fault in an attribute", around(`path = "index"`), 6, `path has no slash`},
		{"the plugin's warning about an element", around("status = [200,\n418]"), 7, "Warning: 418 is for teapots"},
		{"the plugin's fault in the second nested block", around("header \"A\" { value = 1 }\nheader \"Host\" {\nvalue = 1\n}"), 8, "Host is set by the check"},
		{"a plugin that dies of the question", around(`path = "/crash"`), 5, `plugin "http" does not answer`},
		{"a plugin that does not start", `notifier "broken" "x" {}`, 1, `plugin "broken" does not say what it takes`},
		{"a plugin that takes an attribute of the core", `checker "greedy" "x" {}`, 1, "declares the attribute interval"},
		{"a plugin that is not there", `notifier "exce" "x" {}`, 1, `Did you mean "exec"?`},
		{"a plugin that is not where its block says", "plugin \"p\" { path = \"/opt/p\" }\nnotifier \"p\" \"x\" {}", 2, "no executable /opt/p"},
		// The daemon.
		{"a digest that is none", "plugin \"exec\" {\n sha256 = \"abc\"\n}\nnotifier \"exec\" \"x\" { command = [] }", 2, "It has 64 hexadecimal digits"},
		{"a capability that there is not", "plugin \"exec\" {\n user = \"u\"\n capabilities = [\"net_rwa\"]\n}\nnotifier \"exec\" \"x\" { command = [] }", 3, `Did you mean "net_raw"?`},
		{"all capabilities and one more", "plugin \"exec\" {\n capabilities = [\"all\", \"CAP_NET_RAW\"]\n}\nnotifier \"exec\" \"x\" { command = [] }", 2, `capabilities has "all" and others`},
		{"a place to write without a slash", "plugin \"exec\" {\n writable = [\"/tmp\", \"var/x\"]\n}\nnotifier \"exec\" \"x\" { command = [] }", 2, `writable has "var/x", which is no absolute path`},
		{"a plugin block that nothing uses", `plugin "exec" {}`, 1, `plugin "exec" is not used`},
		{"no address to listen on", `listen { address = "9112" }`, 1, `Write an address and a port`},
		{"a name to listen on", `listen { address = "lb.example.com:80" }`, 1, `is no address to listen on`},
		{"a level of the log", `log { level = "warning" }`, 1, `log`},
		{"an output of the log", `log { output = "vipward.log" }`, 1, "absolute path"},
		{"a second block log", "log {}\nlog {}", 2, "log is declared twice"},
		{"events of an unknown kind", `notifier "exec" "x" {` + "\ncommand = []\nevents = [\"instances\"]\n}", 3, `Did you mean "instance"?`},
		{"an unknown notifier in the defaults", `defaults { notify = ["ops"] }`, 1, `no notifier "ops"`},
		{"two notifiers of one name", "notifier \"exec\" \"x\" { command = [] }\nnotifier \"mail\" \"x\" { server = \"10.0.0.1:25\" }", 2, `notifier "x" is declared twice`},
		// Instances.
		{"two instances of one name", instanceWith("web", vip) + instanceWith("web", vip), 6, `vrrp_instance "web" is declared twice`},
		{"two instances of one identifier", instanceWith("a", vip) + instanceWith("b", `virtual_address "10.0.0.101/32" {}`), 8, "virtual_router_id 51 is used twice on eth0"},
		{"a VIP in two instances", instanceWith("a", vip) + strings.Replace(instanceWith("b", vip), "51", "52", 1), 9, "10.0.0.100 is declared twice"},
		{"more addresses than an advert can carry", instanceWith("web", manyAddresses(256)), 6, "An advert names up to 255 addresses; these are 256"},
		{"a map by node without nodes", instanceWith("web", vip+"\npriority = { a = 1 }"), 5, "there are no nodes"},
		{"two blocks where there can be one", instanceWith("web", vip+"\ngarp {}\ngarp {}"), 6, "more than one block garp"},
		{"two sources", instanceWith("web", vip+"\nsource_address = \"10.0.0.1\"\nunicast {\n source = \"10.0.0.2\"\n peers = [\"10.0.0.3\"]\n}"), 7, "source and source_address differ"},
		{"a peer twice", instanceWith("web", vip+"\nunicast {\n peers = [\"10.0.0.3\",\n\"10.0.0.3\"]\n}"), 7, "peer 10.0.0.3 is in the list twice"},
		{"a password that is empty", instanceWith("web", vip+"\nversion = 2\nauthentication {\n type = \"pass\"\n password = \"\"\n}"), 8, "password is empty"},
		{"a scope", instanceWith("web", `virtual_address "10.0.0.100/32" { scope = "site" }`), 4, `scope cannot be "site"`},
		{"a lease that is none", instanceWith("web", vip+"\nlease = \"on\""), 5, `lease cannot be "on"`},
		{"a virtual MAC of the owner", instanceWith("web", vip+"\npriority = 255\nuse_vmac = true"), 6, "use_vmac with priority 255"},
		{"an interface for no virtual MAC", instanceWith("web", vip+"\nvmac_interface = \"v0\""), 5, "vmac_interface without use_vmac = true"},
		{"an interface of the virtual MAC that has adverts", instanceWith("web", vip+"\nuse_vmac = true\nvmac_interface = \"eth0\""), 6, `eth0 of vrrp_instance "web" is that of another vrrp_instance`},
		{"two virtual MACs on one interface", instanceWith("a", vip+"\nuse_vmac = true") + strings.Replace(instanceWith("b", `virtual_address "10.0.0.101/32" {}`+"\nuse_vmac = true"), "eth0", "eth1", 1), 11, `vrrp.51 of vrrp_instance "b"`},
		{"a label of the parent", instanceWith("web", `virtual_address "10.0.0.100/32" { label = "eth0:x" }`+"\nuse_vmac = true"), 4, `Write "vrrp.51:eth0:x"`},
		{"a route to an address", instanceWith("web", vip+"\nvirtual_route \"10.1.0.1/16\" { via = \"10.0.0.254\" }"), 5, `"10.1.0.1/16" is no destination of a route`},
		{"a route to the default of no family", instanceWith("web", vip+"\nvirtual_route \"default\" { via = \"10.0.0.254\" }"), 5, `"0.0.0.0/0" for all of IPv4`},
		{"a route to nowhere", instanceWith("web", vip+"\nvirtual_route \"10.1.0.0/16\" {}"), 5, "has neither via nor interface"},
		{"a blackhole with a way out", instanceWith("web", vip+"\nvirtual_route \"10.1.0.0/16\" {\ntype = \"blackhole\"\nvia = \"10.0.0.254\"\n}"), 6, "a route of type blackhole leads nowhere"},
		{"a next hop of the other family", instanceWith("web", vip+"\nvirtual_route \"10.1.0.0/16\" { via = \"fe80::1\" }"), 5, "via fe80::1 is of the other family"},
		{"a next hop on the link of nobody", instanceWith("web", vip+"\nvirtual_route \"10.1.0.0/16\" {\nvia = \"10.0.0.254\"\nonlink = true\n}"), 7, "onlink without via and interface"},
		{"a scope of IPv6", instanceWith("web", vip+"\nvirtual_route \"2001:db8::/32\" {\nvia = \"fe80::1\"\nscope = \"link\"\n}"), 7, "an IPv6 route has no scope"},
		{"a table without a number", instanceWith("web", vip+"\nvirtual_route \"10.1.0.0/16\" {\nvia = \"10.0.0.254\"\ntable = \"web\"\n}"), 7, `there is no table "web"`},
		{"a rule without a priority", instanceWith("web", vip+"\nvirtual_rule { table = 100 }"), 5, "has no priority"},
		{"a rule without a table", instanceWith("web", vip+"\nvirtual_rule { priority = 100 }"), 5, "has no table"},
		{"a rule that forbids and looks up", instanceWith("web", vip+"\nvirtual_rule {\npriority = 100\ntype = \"prohibit\"\ntable = 100\n}"), 8, "a rule of type prohibit uses no table"},
		{"a rule of two families", instanceWith("web", vip+"\nvirtual_rule {\npriority = 100\ntable = 100\nfrom = \"2001:db8::1\"\nfamily = \"ipv4\"\n}"), 8, "All of a rule is of one family"},
		{"a mark beyond its mask", instanceWith("web", vip+"\nvirtual_rule {\npriority = 100\ntable = 100\nfwmark = \"0x100/0xff\"\n}"), 8, `fwmark cannot be "0x100/0xff"`},
		{"a rule from a name", instanceWith("web", vip+"\nvirtual_rule {\npriority = 100\ntable = 100\nfrom = \"web\"\n}"), 8, "from is no network"},
		{"the same route twice", instanceWith("web", vip+"\nvirtual_route \"10.1.0.0/16\" { via = \"10.0.0.254\" }\nvirtual_route \"10.1.0.0/16\" { via = \"10.0.0.253\" }"), 6, "a route to 10.1.0.0/16 with metric 0 is in table 254 already"},
		// Services.
		{"two services of one address", around("") + strings.Replace(around(""), `"web"`, `"two"`, 1), 10, "10.0.0.100:80 over tcp is declared twice"},
		{"a service without servers", "virtual_server \"web\" {\n  address = \"10.0.0.100:80\"\n  forward = \"nat\"\n}", 1, "has no real_server"},
		{"a server twice", serviceWith("  address = \"10.0.0.100:80\"\n  forward = \"dr\"\n  real_server \"10.0.0.11:80\" {}\n  real_server \"10.0.0.11:80\" {}"), 5, "real_server 10.0.0.11:80 is declared twice"},
		{"DR with another port", strings.Replace(around(""), "11:80\"", "11:8080\"", 1), 4, `Write "10.0.0.11:80", or use forward = "nat"`},
		{"a weight that is too great", strings.Replace(around(""), "11:80\" {}", "11:80\" { weight = 65536 }", 1), 4, "A weight is 0 to 65535; 0 takes no new connections. This is 65536."},
		{"a scheduler that there is not", strings.Replace(around(""), "forward", "scheduler = \"wrrr\"\n  forward", 1), 3, `scheduler cannot be "wrrr"`},
		{"a scheduler that this machine lacks", strings.Replace(around(""), "forward", "scheduler = \"mh\"\n  forward", 1), 3, `Warning: this machine lacks the scheduler "mh"`},
		{"a mark without a rule", serviceWith("  fwmark = 7\n  forward = \"dr\"\n  real_server \"10.0.0.11:80\" {}"), 2, "Warning: nothing here gives packets the mark 7"},
		{"a VIP that nobody holds", instanceWith("web", vip) + strings.Replace(around(""), "0.100", "0.200", 1), 7, "Warning: no vrrp_instance holds 10.0.0.200"},
		{"thresholds upside down", strings.Replace(around(""), "11:80\" {}", "11:80\" {\n upper_threshold = 1\n lower_threshold = 2\n}", 1), 6, "lower_threshold is above upper_threshold"},
		{"granularity without persistence", strings.Replace(around(""), "forward", "persistence_granularity = 24\n  forward", 1), 3, "persistence_granularity without persistence"},
		{"a warm-up longer than the interval", around("interval = \"5s\"\nwarmup = \"6s\""), 7, "The first run comes within it: 0s to the interval, 5s. This is 6s."},
		{"an unknown on_unknown", around(`on_unknown = "fail"`), 6, `on_unknown cannot be "fail"`},
		// IPVS as a whole.
		{"an exchange of connections for nobody", instanceWith("web", vip) + "ipvs {\n sync {\n  interface = \"eth0\"\n }\n}", 7, "sync has no instance"},
		{"an exchange of connections for another", instanceWith("web", vip) + "ipvs {\n sync {\n  interface = \"eth0\"\n  instance = \"wbe\"\n }\n}", 9, `no vrrp_instance "wbe"`},
		{"a group that is none", instanceWith("web", vip) + syncWith(`group = "10.0.0.1"`), 8, "group 10.0.0.1 is no multicast group"},
		{"an identifier that is too great", instanceWith("web", vip) + syncWith(`id = 256`), 8, "id out of range"},
		{"a message that is too short", instanceWith("web", vip) + syncWith(`maxlen = 1000`), 8, "maxlen out of range"},
		{"a refresh in parts of a second", instanceWith("web", vip) + syncWith(`refresh = "1500ms"`), 8, "refresh is no multiple of 1s"},
		{"an exchange with real servers of another family", instanceWith("web", vip) + syncWith("") + serviceWith("  address = \"10.0.0.100:80\"\n  forward = \"tun\"\n  real_server \"[2001:db8::11]:80\" {}"), 16, "real_server [2001:db8::11]:80 is of another family than the service, with ipvs { sync }"},
		{"waiting for connections that do not come", instanceWith("web", vip+"\npreempt_when_synced = true"), 5, "preempt_when_synced without ipvs { sync }"},
		{"waiting for nothing", instanceWith("web", vip+"\npreempt = false\npreempt_when_synced = true") + syncWith(""), 6, "preempt_when_synced with preempt = false"},
		{"an owner that waits", instanceWith("web", vip+"\npriority = 255\npreempt_when_synced = true") + syncWith(""), 6, "preempt_when_synced with priority 255"},
		{"connections counted by packets", instanceWith("web", vip) + "ipvs {\n sysctl = { sync_threshold = \"3 50\" }\n sync {\n interface = \"eth0\"\n instance = \"web\"\n}\n}", 7, "Warning: sync_threshold counts packets"},
		{"a sysctl that IPVS has not", "ipvs {\n sysctl = {\n  conn_reuse_mod = 1\n }\n}", 3, `Did you mean "conn_reuse_mode"?`},
		{"a sysctl of something else", "ipvs {\n sysctl = {\n  \"kernel.panic\" = 1\n }\n}", 3, `"kernel.panic" is no sysctl of the network`},
		{"a sysctl that is no number", "ipvs {\n sysctl = {\n  drop_entry = \"yes\"\n }\n}", 3, "sysctl drop_entry is no number"},
		{"sysctls without names", "ipvs {\n sysctl = [1]\n}", 2, "sysctl is not a map"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, diags := loadText(t, c.text, Options{Node: "a", Plugins: plugins(), Scheduler: lacksMH})
			for _, d := range diags {
				if d.Line == c.line && strings.Contains(flat(Diagnostics{d}), c.want) {
					return
				}
			}
			t.Errorf("no diagnostic on line %d with %q:\n%s", c.line, c.want, textOf(diags))
		})
	}
}

func TestWhatHoldsTodayMayBeWritten(t *testing.T) {
	mustLoad(t, instanceWith("web", `virtual_address "10.0.0.100/32" { advertised = true }`+"\naccept = true\nuse_vmac = false\nvmac_interface = null")+
		strings.Replace(around(`on_unknown = "keep"`), "forward", "alpha = false\n  quorum_up = []\n  scheduler_flags = []\n  forward", 1), "a")
}

func TestASecretIsNeverShown(t *testing.T) {
	_, diags := loadText(t, "notifier \"mail\" \"x\" {\n  server = \"10.0.0.1:25\"\n  password = env(\"P\")\n}",
		Options{Plugins: plugins(), Environ: func(string) (string, bool) { return "hunter 2", true }})
	if !diags.HasErrors() || strings.Contains(textOf(diags), "hunter") {
		t.Errorf("Load says\n%s", textOf(diags))
	}
}

func TestLimitsHoldBeforeAnythingIsParsed(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"brackets", "locals { a = " + strings.Repeat("[", 100_000), "nested more than 100 deep"},
		{"templates", "locals { a = " + strings.Repeat(`"${`, 200), "nested more than 100 deep"},
		{"signs", "locals { a = " + strings.Repeat("-", 100_000) + "1 }", "more than 1000 operators"},
		{"sums over several lines", "locals { a = (1" + strings.Repeat("\n+1", 2000) + ") }", "more than 1000 operators"},
		{"indexes", "locals { a = b" + strings.Repeat("[0]", 2000) + " }", "more than 1000 operators"},
		{"conditions", "locals { a = " + strings.Repeat("true ? 1 : ", 2000) + "1 }", "more than 1000 operators"},
		{"directives", "locals { a = \"" + strings.Repeat("%{if true}", 2000) + "\" }", "more than 1000 operators"},
		{"an exponent", "locals { a = 1e9999999 }", "exponent of more than 3 digits"},
		{"digits", "locals { a = " + strings.Repeat("9", 101) + " }", "longer than 100 characters"},
		{"size", strings.Repeat("#", maxFile+1), "larger than 1048576 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, diags := loadText(t, c.text, Options{})
			if !strings.Contains(flat(diags), c.want) {
				t.Errorf("Load says %q, want %q", flat(diags), c.want)
			}
		})
	}
	t.Run("a long list is fine", func(t *testing.T) {
		mustLoad(t, "locals { a = ["+strings.Repeat("-1, ", 5000)+"] }", "")
	})
}

func TestAWeightCountsAgainstWhatThePeerReaches(t *testing.T) {
	const move = "the VIP does not move"
	for _, c := range []struct {
		name, priority, extra, tracks string
		warns                         bool
	}{
		{"enough to fall below the peer", "{ a = 150, b = 100 }", "", `track "interface" {` + "\nname = \"eth1\"\nweight = -51\n}", false},
		{"just equal to the peer is not enough", "{ a = 150, b = 100 }", "", `track "interface" {` + "\nname = \"eth1\"\nweight = -50\n}", true},
		{"a positive weight is lost", "{ a = 110, b = 100 }", "", `track "interface" {` + "\nname = \"eth1\"\nweight = 20\n}", false},
		{"a positive weight that is too small", "{ a = 150, b = 100 }", "", `track "interface" {` + "\nname = \"eth1\"\nweight = 20\n}", true},
		{"the owner is never lowered", "{ a = 255, b = 100 }", "", `track "interface" {` + "\nname = \"eth1\"\nweight = -200\n}", true},
		{"nobody preempts", "{ a = 150, b = 100 }", "preempt = false", `track "interface" {` + "\nname = \"eth1\"\nweight = -60\n}", true},
		{"without a weight it always moves", "{ a = 150, b = 100 }", "preempt = false", `track "interface" { name = "eth1" }`, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := "node \"a\" { address = \"10.0.0.1\" }\nnode \"b\" { address = \"10.0.0.2\" }\n" +
				instanceWith("web", "virtual_address \"10.0.0.100/32\" {}\npriority = "+c.priority+"\n"+c.extra+"\n"+c.tracks)
			for _, node := range []string{"a", "b"} {
				_, diags := loadText(t, text, Options{Node: node})
				if got := strings.Contains(flat(diags), move); got != c.warns {
					t.Errorf("on %s a warning: %v, want %v\n%s", node, got, c.warns, textOf(diags))
				}
			}
		})
	}
}

func TestValidateChecksEveryNodeAndSaysThingsOnce(t *testing.T) {
	dir := write(t, "test.hcl", twoNodes+instanceWith("web", "virtual_address \"10.0.0.100\" {}\npriority = { lb1 = 1 }"))
	nodes, _, diags := Validate(t.Context(), dir, Options{})
	if strings.Join(nodes, " ") != "lb1 lb2" {
		t.Errorf("the nodes are %v", nodes)
	}
	errors, warnings := diags.Counts()
	if errors != 2 || warnings != 0 {
		t.Errorf("%d errors and %d warnings, want 2 and 0:\n%s", errors, warnings, textOf(diags))
	}
}
