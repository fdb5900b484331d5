package config

import (
	"maps"
	"slices"

	"github.com/hashicorp/hcl/v2"
)

// spec says what one type of block takes.
type spec struct {
	attrs  []string
	blocks []hcl.BlockHeaderSchema
	// laterBlocks are the blocks that a later release builds, with what to do until then.
	laterBlocks map[string]string
}

// schema is the block's schema for HCL. Nothing is required there: [block.required] says it better.
func (s spec) schema() *hcl.BodySchema {
	schema := &hcl.BodySchema{Blocks: slices.Clone(s.blocks)}
	for _, name := range s.attrs {
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
	case "heartbeat":
		return []string{"NAME"}
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
	blocks := s.blockTypes()
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

func (s spec) blockTypes() (out []string) {
	for _, b := range s.blocks {
		out = append(out, b.Type)
	}
	return out
}

func header(blockType string, labels ...string) hcl.BlockHeaderSchema {
	return hcl.BlockHeaderSchema{Type: blockType, LabelNames: labels}
}

func rootSpec() spec {
	return spec{
		blocks: []hcl.BlockHeaderSchema{
			header("node", "NAME"), header("variable", "NAME"), header("locals"), header("defaults"), header("listen"), header("log"),
			header("plugin", "NAME"), header("checker", "KIND", "NAME"), header("notifier", "KIND", "NAME"),
			header("fencer", "KIND", "NAME"), header("fencing", "NODE"), header("witness", "KIND", "NAME"), header("arbitration"),
			header("vrrp_instance", "NAME"), header("vrrp_sync_group", "NAME"), header("virtual_server", "NAME"),
			header("ipvs"),
		},
	}
}

func instanceSpec() spec {
	return spec{
		attrs: []string{
			"interface", "virtual_router_id", "version", "priority", "advert_interval", "initial_state", "preempt", "preempt_delay",
			"preempt_when_synced", "start_delay",
			"source_address", "accept", "checksum", "strict_addresses", "notify", "lease", "use_vmac", "vmac_interface",
		},
		blocks: []hcl.BlockHeaderSchema{
			header("unicast"), header("authentication"), header("virtual_address", "PREFIX"), header("virtual_route", "PREFIX"), header("virtual_rule"),
			header("track", "KIND"), header("garp"),
		},
	}
}

func groupSpec() spec {
	return spec{attrs: []string{"instances", "notify"}, blocks: []hcl.BlockHeaderSchema{header("track", "KIND")}}
}

func authenticationSpec() spec {
	return spec{
		attrs:  []string{"type", "password", "key", "key_file", "key_id", "mode", "window"},
		blocks: []hcl.BlockHeaderSchema{header("accept", "ID")},
	}
}

func virtualAddressSpec() spec {
	return spec{attrs: []string{"interface", "label", "scope", "advertised"}}
}

func trackSpec() spec { return spec{attrs: []string{"name", "weight", "reverse"}} }

func serviceSpec() spec {
	return spec{
		attrs: []string{
			"address", "addresses", "fwmark", "protocol", "scheduler", "scheduler_flags", "one_packet", "forward",
			"persistence", "persistence_granularity", "persistence_engine",
			"quorum", "hysteresis", "quorum_up", "quorum_down", "alpha", "omega", "inhibit_on_failure", "max_ejected", "slow_start", "drain_timeout", "notify",
		},
		blocks: []hcl.BlockHeaderSchema{
			header("real_server", "ENDPOINT"), header("sorry_server", "ENDPOINT"), header("check", "KIND"), header("damping"),
		},
	}
}

func realServerSpec() spec {
	return spec{
		attrs:  []string{"weight", "forward", "inhibit_on_failure", "upper_threshold", "lower_threshold", "notify"},
		blocks: []hcl.BlockHeaderSchema{header("check", "KIND"), header("tunnel")},
	}
}

func sorrySpec() spec { return spec{attrs: []string{"forward", "inhibit"}} }

func tunnelSpec() spec { return spec{attrs: []string{"type", "port", "checksum"}} }

func dampingSpec() spec { return spec{attrs: []string{"failures", "window", "hold"}} }

func ipvsSpec() spec {
	return spec{attrs: []string{"timeout_tcp", "timeout_tcpfin", "timeout_udp", "sysctl"}, blocks: []hcl.BlockHeaderSchema{header("sync")}}
}

func syncSpec() spec {
	return spec{attrs: []string{"interface", "instance", "id", "group", "port", "ttl", "maxlen", "refresh"}}
}

func timingSpec() spec { return spec{attrs: []string{"interval", "timeout", "rise", "fall"}} }

func checkerSpec() spec { return timingSpec().with(spec{attrs: []string{"initial"}}) }

func checkSpec() spec {
	return timingSpec().with(spec{attrs: []string{"retry_interval", "initial", "weight", "warmup", "on_unknown"}})
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
		return `virtual_address "10.0.0.1/32" { advertised = false } for each address`
	case "auth_type", "auth_pass":
		return `a block authentication with type = "pass" and password, or with type = "hmac" and key_file`
	case "mcast_src_ip":
		return "source_address"
	case "unicast_peer", "unicast_src_ip":
		return "a block unicast with peers = [\"10.0.0.1\", …] and source"
	case "track_script", "vrrp_script":
		return `a block track "script" with command in the vrrp_instance; or a checker "exec" and track "checker", where more than tracks use it`
	case "track_process", "vrrp_track_process":
		return `a block track "process" with name`
	case "track_file", "vrrp_track_file":
		return `a block track "file" with path`
	case "group":
		return `instances = ["NAME", …]`
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
	case "connect_ip", "connect_port":
		return `address = "10.0.0.1" and port = 8080`
	case "bindto":
		return `source = "10.0.0.1"`
	case "bind_if":
		return `device = "eth1"`
	case "virtualhost":
		return `host = "www.example.com" in the check`
	case "status_code":
		return `status = [200, "300-399"]`
	case "regex", "regex_no_match":
		return "body = \"…\" for what must match, body_absent = \"…\" for what must not"
	case "regex_min_offset", "regex_max_offset":
		return "body_min_offset and body_max_offset"
	case "http_protocol":
		return `http_version = "1.0"`
	case "enable_sni", "sni_name":
		return `server_name in a block tls; the name of the host is asked for anyway`
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
