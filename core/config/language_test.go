package config

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// evaluate is the value of an expression as one text, with the definitions around it.
func evaluate(t *testing.T, definitions, expr string, env map[string]string) (string, Diagnostics) {
	t.Helper()
	dir := write(t, "test.hcl", definitions+"\nnotifier \"exec\" \"x\" { command = [tostring("+expr+")] }\n", "word.txt", "hello")
	look := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	c, diags := Load(t.Context(), dir, Options{Node: "lb2", Plugins: plugins(), Environ: look})
	if c == nil {
		return "", diags
	}
	var got struct{ Command []string }
	if err := json.Unmarshal(c.Notifiers[0].Config, &got); err != nil {
		t.Fatal(err)
	}
	return got.Command[0], diags
}

const twoNodes = `
node "lb1" { address = "10.0.0.1" }
node "lb2" { address = cidrhost(local.net, 2) }
locals { net = "10.0.0.0/24" }
`

func TestExpressions(t *testing.T) {
	for _, c := range []struct{ name, definitions, expr, want string }{
		{"a local refers to one that is defined later", `locals {
			a = "${local.b}!"
			b = upper(local.c)
		}
		locals { c = "x" }`, "local.a", "X!"},
		{"all locals at once", `locals {
			a = 1
			b = 2
		}`, `join(",", keys(local))`, "a,b"},
		{"the node's name", twoNodes, "node.name", "lb2"},
		{"the node's address, which refers to a local", twoNodes, "node.address", "10.0.0.2"},
		{"a local that refers to the node's address", twoNodes + `locals { own = node.address }`, "local.own", "10.0.0.2"},
		{"the node's name without nodes", "", "node.name", "lb2"},
		{"a variable's default", `variable "v" { default = 5 }`, "var.v + 1", "6"},
		{"a variable from the environment goes before its default", `variable "text" { default = "b" }`, "var.text", "from outside"},
		{"a variable without a type takes the text as it is", `variable "text" {}`, "var.text", "from outside"},
		{"a variable of another type is written as in HCL", `variable "ports" { type = list(number) }`, "var.ports[1]", "443"},
		{"an environment variable", "", `env("HOME")`, "/root"},
		{"an environment variable that is not set, with what to take then", "", `try(env("NONE"), "none")`, "none"},
		{"a file beside the one that calls", "", `file("word.txt")`, "hello"},
		{"digests", "", `"${md5("a")} ${substr(sha256("a"), 0, 8)}"`, "0cc175b9c0f1b6a831c399e269772661 ca978112"},
		{"the host of a prefix", "", `cidrhost("10.1.0.0/16", 258)`, "10.1.1.2"},
		{"the last host of a prefix", "", `cidrhost("10.1.0.0/24", -1)`, "10.1.0.255"},
		{"a host of an IPv6 prefix", "", `cidrhost("2001:db8::/32", 1)`, "2001:db8::1"},
		{"a subnet", "", `cidrsubnet("10.0.0.0/8", 8, 3)`, "10.3.0.0/16"},
		{"a netmask", "", `cidrnetmask("10.0.0.0/20")`, "255.255.240.0"},
		{"the netmask of everything", "", `cidrnetmask("0.0.0.0/0")`, "0.0.0.0"},
		{"an address within a prefix", "", `cidrcontains("10.0.0.0/24", "10.0.0.77")`, "true"},
		{"an address without its prefix", "", `cidraddress("10.0.0.7/24")`, "10.0.0.7"},
		{"the length of a prefix", "", `cidrlength("10.0.0.7/24")`, "24"},
		{"text functions", "", `trimprefix(replace("xa-b", "-", "+"), "x")`, "a+b"},
		{"predicates of texts", "", `startswith("eth0", "eth") && !endswith("eth0", "1") && strcontains("eth0", "th")`, "true"},
		{"whether something can be evaluated", "", `can(tonumber("x"))`, "false"},
	} {
		t.Run(c.name, func(t *testing.T) {
			env := map[string]string{"HOME": "/root", "VIPWARD_VAR_text": "from outside", "VIPWARD_VAR_ports": "[80, 443]"}
			got, diags := evaluate(t, c.definitions, c.expr, env)
			if got != c.want {
				t.Errorf("%s = %q, want %q\n%s", c.expr, got, c.want, textOf(diags))
			}
		})
	}
}

func TestWrongExpressions(t *testing.T) {
	for _, c := range []struct{ name, definitions, expr, want string }{
		{"a circle of locals", "locals {\n a = local.b\n b = local.a\n}", "local.a", "local.a depends on itself"},
		{
			"a circle names its members and nobody else", "locals {\n a = \"${local.x}${local.b}\"\n b = local.a\n x = 1\n}", "local.a",
			"in a circle: local.a, local.b and local.a.",
		},
		{"a circle through the node's address", `node "lb2" { address = local.a }` + "\nlocals { a = node.address }", "1", "depends on itself"},
		{"a local twice", "locals {\n a = 1\n}\nlocals {\n a = 2\n}", "local.a", `local "a" is declared twice`},
		{"a variable without a value", `variable "v" {}`, "var.v", "Set VIPWARD_VAR_v in the environment"},
		{"a variable of the wrong type", "variable \"v\" {\n type = number\n default = \"x\"\n}", "var.v", `variable "v" has the wrong type`},
		{"a variable from the environment of the wrong type", `variable "bad" { type = number }`, "var.bad", "VIPWARD_VAR_bad is no value of the type number"},
		{"an environment variable that is not set", "", `env("NONE")`, "NONE is not set in the environment"},
		{"a file that is not there", "", `file("none.txt")`, "no such file"},
		{"a host outside of its prefix", "", `cidrhost("10.0.0.0/30", 4)`, "has only 4 addresses"},
		{"a subnet that does not fit", "", `cidrsubnet("10.0.0.0/30", 3, 0)`, "can be lengthened by 0 to 2 bits"},
		{"a subnet number that does not fit", "", `cidrsubnet("10.0.0.0/8", 2, 4)`, "no subnet number 4"},
		{"a prefix that is none", "", `cidrhost("10.0.0.1", 1)`, "is no prefix"},
		{"a number that is not whole", "", `cidrhost("10.0.0.0/8", 1.5)`, "no whole number"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, diags := evaluate(t, c.definitions, c.expr, map[string]string{"VIPWARD_VAR_bad": "{"})
			if text := flat(diags); got != "" || !strings.Contains(text, c.want) {
				t.Errorf("%s = %q, says %q, want %q", c.expr, got, text, c.want)
			}
		})
	}
}

// flat is the text of diagnostics in one line.
func flat(d Diagnostics) string { return strings.Join(strings.Fields(textOf(d)), " ") }

func TestEveryAttributeOfAnInstanceMayDifferByNode(t *testing.T) {
	const text = twoNodes + `
locals { fast = { lb1 = "100ms", lb2 = "200ms" } }
checker "http" "local" {
  url      = { lb1 = "http://a/", lb2 = "http://b/" }
  headers  = { Accept = "*/*" }
  interval = { lb1 = "1s", lb2 = "3s" }
  status   = { lb1 = [200], lb2 = [200, 204] }
}
vrrp_instance "web" {
  interface         = { lb1 = "eth0", lb2 = "ens3" }
  virtual_router_id = 51
  version           = 2
  priority          = { lb1 = 150, lb2 = 100 }[node.name]
  advert_interval   = { lb1 = "1s", lb2 = "2s" }
  preempt           = { lb1 = true, lb2 = false }
  notify            = { lb1 = [], lb2 = [] }
  unicast {
    peers = { lb1 = ["10.0.0.2"], lb2 = ["10.0.0.1", "10.0.0.2"] }
  }
  authentication {
    type     = "pass"
    password = { lb1 = "one", lb2 = "two" }
  }
  dynamic "virtual_address" {
    for_each = [100, 101]
    labels   = [cidrhost(local.net, virtual_address.value) == "" ? "" : "${cidrhost(local.net, virtual_address.value)}/32"]
    content {
      label = { lb1 = "eth0:${virtual_address.key}", lb2 = "ens3:${virtual_address.key}" }
    }
  }
  track "checker" { name = "local" }
  garp { delay = local.fast }
}
`
	c := mustLoad(t, text, "lb2")
	i := c.Node.Instances[0]
	if i.Interface != "ens3" || i.VRRP.Interval != 2*time.Second || i.VRRP.Preempt || i.VRRP.Password != "two" ||
		len(i.VRRP.Peers) != 1 || i.VRRP.Peers[0].String() != "10.0.0.1" || i.Garp.Delay != 200*time.Millisecond {
		t.Errorf("the instance is %+v", i)
	}
	if i.VRRP.Priority != 100 || i.PeerPriority != 150 {
		t.Errorf("priority %d and the peer's %d, want 100 and 150", i.VRRP.Priority, i.PeerPriority)
	}
	if len(i.Addresses) != 2 || i.Addresses[1].Label != "ens3:1" || i.Addresses[1].Prefix.String() != "10.0.0.101/32" {
		t.Errorf("the addresses are %+v", i.Addresses)
	}
	const config = `{"headers":{"Accept":"*/*"},"status":[200,204],"url":"http://b/"}`
	if k := c.Checks[0]; k.Interval != 3*time.Second || string(k.Config) != config {
		t.Errorf("the checker is %v %s, want %s", k.Interval, k.Config, config)
	}
}
