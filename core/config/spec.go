package config

import (
	"maps"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// spec says what one type of block takes.
type spec struct {
	attrs  []string
	blocks []hcl.BlockHeaderSchema
	// later are the attributes that a later release builds.
	later map[string]later
	// laterBlocks are the blocks that a later release builds, with what to do until then.
	laterBlocks map[string]string
}

// later is an attribute of a later release.
type later struct {
	// holds is the value that says what is so today, and may be written; NilVal for none.
	holds cty.Value
	// until is what to do until then.
	until string
}

// schema is the block's schema for HCL. Nothing is required there: [block.required] says it better.
func (s spec) schema() *hcl.BodySchema {
	schema := &hcl.BodySchema{Blocks: slices.Clone(s.blocks)}
	for _, name := range slices.Concat(s.attrs, slices.Sorted(maps.Keys(s.later))) {
		schema.Attributes = append(schema.Attributes, hcl.AttributeSchema{Name: name})
	}
	for _, name := range slices.Sorted(maps.Keys(s.laterBlocks)) {
		schema.Blocks = append(schema.Blocks, hcl.BlockHeaderSchema{Type: name, LabelNames: laterLabels(name)})
	}
	return schema
}

// laterLabels are the labels of blocks that a later release builds.
func laterLabels(block string) []string {
	switch block {
	case "fencer":
		return []string{"KIND", "NAME"}
	case "vrrp_sync_group", "fencing", "heartbeat":
		return []string{"NAME"}
	case "virtual_route":
		return []string{"PREFIX"}
	case "sorry_server":
		return []string{"ENDPOINT"}
	}
	return nil
}

// with is the spec with the attributes and blocks of another added.
func (s spec) with(o spec) spec {
	s.attrs = slices.Concat(s.attrs, o.attrs)
	s.blocks = slices.Concat(s.blocks, o.blocks)
	return s
}

// offers says what the block takes, for a message.
func (s spec) offers() string {
	var blocks []string
	for _, b := range s.blocks {
		blocks = append(blocks, b.Type)
	}
	switch {
	case len(s.attrs) == 0 && len(blocks) == 0:
		return ""
	case len(blocks) == 0:
		return "Its attributes are " + list(s.attrs) + "."
	case len(s.attrs) == 0:
		return "The blocks are " + list(blocks) + "."
	}
	return "Its attributes are " + list(s.attrs) + "; its blocks are " + list(blocks) + "."
}

func header(blockType string, labels ...string) hcl.BlockHeaderSchema {
	return hcl.BlockHeaderSchema{Type: blockType, LabelNames: labels}
}

func rootSpec() spec {
	return spec{
		blocks: []hcl.BlockHeaderSchema{
			header("node", "NAME"), header("variable", "NAME"), header("locals"), header("defaults"), header("listen"), header("log"),
			header("plugin", "NAME"), header("checker", "KIND", "NAME"), header("notifier", "KIND", "NAME"),
			header("vrrp_instance", "NAME"), header("virtual_server", "NAME"),
		},
		laterBlocks: map[string]string{
			"fencer":          "Remove the block. Leases already take the VIPs from a node whose daemon has died or hangs.",
			"fencing":         "Remove the block. Leases already take the VIPs from a node whose daemon has died or hangs.",
			"vrrp_sync_group": "Put the addresses that must stay together into one vrrp_instance: virtual_address takes an interface of its own.",
			"ipvs":            "Remove the block; set time-outs with ipvsadm --set, and start the synchronisation of connections with ipvsadm --start-daemon.",
			"arbitration":     "Remove the block. A node takes over when it no longer hears the master, as VRRP says.",
		},
	}
}

func instanceSpec() spec {
	return spec{
		attrs: []string{
			"interface", "virtual_router_id", "version", "priority", "advert_interval", "initial_state", "preempt", "preempt_delay",
			"source_address", "checksum", "strict_addresses", "notify", "lease",
		},
		blocks: []hcl.BlockHeaderSchema{
			header("unicast"), header("authentication"), header("virtual_address", "PREFIX"), header("track", "KIND"), header("garp"),
		},
		later: map[string]later{
			"accept":         {cty.True, "Leave it out, or write accept = true: the master answers on its VIPs."},
			"use_vmac":       {cty.False, "Leave it out, or write use_vmac = false: the VIPs have the interface's own MAC address, and gratuitous ARP tells where they are."},
			"vmac_interface": {cty.NilVal, "Leave it out: the VIPs have the interface's own MAC address."},
		},
		laterBlocks: map[string]string{
			"virtual_route": "Remove the block, and set the route with the system's own network configuration or by an exec notifier.",
			"virtual_rule":  "Remove the block, and set the rule with the system's own network configuration or by an exec notifier.",
		},
	}
}

func authenticationSpec() spec {
	const until = "The type hmac comes with a later release. Version 2 has type = \"pass\" with a password; in version 3 leave the block out."
	return spec{
		attrs: []string{"type", "password"},
		later: map[string]later{"key": {cty.NilVal, until}, "key_file": {cty.NilVal, until}, "key_id": {cty.NilVal, until}},
	}
}

func virtualAddressSpec() spec {
	return spec{
		attrs: []string{"interface", "label", "scope"},
		later: map[string]later{"advertised": {cty.True, "Leave it out: every address is in the adverts, up to 255 of them."}},
	}
}

func trackSpec() spec { return spec{attrs: []string{"name", "weight", "reverse"}} }

func serviceSpec() spec {
	return spec{
		attrs: []string{
			"address", "protocol", "scheduler", "forward", "persistence", "persistence_granularity", "quorum", "inhibit_on_failure", "notify",
		},
		blocks: []hcl.BlockHeaderSchema{header("real_server", "ENDPOINT"), header("check", "KIND")},
		later: map[string]later{
			"fwmark":          {cty.NilVal, "Write one virtual_server for each address and port."},
			"addresses":       {cty.NilVal, "Write one virtual_server for each address; a dynamic block repeats it."},
			"scheduler_flags": {cty.EmptyTupleVal, "Leave it out."},
			"one_packet":      {cty.False, "Leave it out, or write one_packet = false."},
			"quorum_up":       {cty.EmptyTupleVal, "Use notify: its notifiers hear when the service goes up and down."},
			"quorum_down":     {cty.EmptyTupleVal, "Use notify: its notifiers hear when the service goes up and down."},
			"hysteresis":      {cty.Zero, "Leave it out, or write hysteresis = 0."},
			"alpha":           {cty.False, "Leave it out: a real server gets connections after its first success anyway."},
			"omega":           {cty.False, "Leave it out, or write omega = false."},
			"max_ejected":     {cty.StringVal("100%"), "Leave it out, or write max_ejected = \"100%\"."},
			"slow_start":      {cty.StringVal("0s"), "Leave it out, or write slow_start = \"0s\"."},
		},
		laterBlocks: map[string]string{
			"sorry_server": "Remove the block. For a server of last resort add a real_server with a check of its own and a low weight.",
		},
	}
}

func realServerSpec() spec {
	return spec{
		attrs:       []string{"weight", "forward", "inhibit_on_failure", "upper_threshold", "lower_threshold"},
		blocks:      []hcl.BlockHeaderSchema{header("check", "KIND")},
		later:       map[string]later{"notify": {cty.EmptyTupleVal, "Use notify of the virtual_server: its notifiers hear of all its real servers."}},
		laterBlocks: map[string]string{"tunnel": "Remove the block; forward = \"tun\" uses IPIP."},
	}
}

func timingSpec() spec { return spec{attrs: []string{"interval", "timeout", "rise", "fall"}} }

func checkerSpec() spec { return timingSpec().with(spec{attrs: []string{"initial"}}) }

func checkSpec() spec {
	s := timingSpec().with(spec{attrs: []string{"retry_interval", "initial"}})
	s.later = map[string]later{
		"warmup":     {cty.StringVal("0s"), "Leave it out: the first runs are spread over the interval by themselves."},
		"on_unknown": {cty.StringVal("keep"), "Leave it out, or write on_unknown = \"keep\": a check that cannot be made changes nothing."},
		"weight":     {cty.NilVal, "Leave it out: a server whose check fails is removed."},
	}
	return s
}

func garpSpec() spec {
	return spec{attrs: []string{"delay", "repeat", "refresh", "refresh_repeat", "interval"}}
}

// fromKeepalived is what to write instead of a name of keepalived's; empty where the name is none.
func fromKeepalived(name string) string {
	switch name {
	case "advert_int":
		return `advert_interval = "1s"`
	case "state":
		return `initial_state = "MASTER" or "BACKUP"`
	case "nopreempt":
		return "preempt = false"
	case "virtual_ipaddress":
		return `a block virtual_address "10.0.0.1/32" {} for each address`
	case "virtual_ipaddress_excluded":
		return `virtual_address "10.0.0.1/32" {} as well: up to 255 addresses fit into an advert`
	case "auth_type", "auth_pass":
		return `a block authentication with type = "pass" and password`
	case "mcast_src_ip":
		return "source_address"
	case "unicast_peer", "unicast_src_ip":
		return "a block unicast with peers = [\"10.0.0.1\", …] and source"
	case "track_script", "vrrp_script":
		return `a block checker "exec" "NAME", and track "checker" in the vrrp_instance`
	case "track_interface":
		return `a block track "interface" with name`
	case "garp_master_delay", "garp_master_repeat", "garp_master_refresh", "garp_master_refresh_repeat":
		return "a block garp with delay, repeat, refresh and refresh_repeat"
	case "notify_master", "notify_backup", "notify_fault", "notify_stop", "smtp_alert", "notify_up", "notify_down":
		return `a block notifier "exec" "NAME" (or "mail"), and notify = ["NAME"]`
	case "lb_algo", "lvs_sched":
		return `scheduler = "wrr"`
	case "lb_kind", "lvs_method":
		return `forward = "dr"`
	case "persistence_timeout":
		return `persistence = "50s"`
	case "delay_loop":
		return `interval = "6s" in the check`
	case "connect_timeout":
		return `timeout = "3s" in the check`
	case "nb_get_retry", "retry":
		return "fall = 3 in the check: the failures in a row before the server is down"
	case "delay_before_retry":
		return `retry_interval = "3s" in the check`
	case "HTTP_GET", "SSL_GET":
		return `a block check "http"`
	case "TCP_CHECK":
		return `a block check "tcp"`
	case "SMTP_CHECK":
		return `a block check "smtp"`
	case "DNS_CHECK":
		return `a block check "dns"`
	case "MISC_CHECK":
		return `a block check "exec"`
	case "global_defs":
		return "a block defaults"
	case "uthreshold":
		return "upper_threshold"
	case "lthreshold":
		return "lower_threshold"
	}
	return ""
}
