package metrics

import "github.com/prometheus/client_golang/prometheus"

// descriptions are all metrics of the collector: the name, what it says, and by what it is told apart.
type descriptions struct {
	build, config, ready, idle, loopDropped, late, cut, wireDropped *prometheus.Desc

	state, priority, effective, sent, received, zeroSent, zeroReceived, becameMaster, discarded *prometheus.Desc

	vipOwned, vipLease, checkerUp, serviceUp, serverUp, serverWeight, active, inactive *prometheus.Desc

	pluginUp, pluginRestarts, outboxQueued, outboxDelivered, outboxDropped, outboxFailed *prometheus.Desc

	all []*prometheus.Desc
}

func describe() descriptions {
	var d descriptions
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		p := prometheus.NewDesc("vipward_"+name, help, labels, nil)
		d.all = append(d.all, p)
		return p
	}
	d.build = desc("build_info", "Always 1; the labels say what runs.", "version", "goversion")
	d.config = desc("config_hash_info", "Always 1; the label is the same on nodes that read the same files.", "hash")
	d.ready = desc("ready", "Whether every instance has left INIT.")
	d.idle = desc("loop_idle_seconds", "Time since the loop last went round; healthy below 1.")
	d.loopDropped = desc("loop_dropped_total", "Inputs that found the loop's inbox full.")
	d.late = desc("scheduler_late_total", "Wake-ups of the loop that came later than the election bears.")
	d.cut = desc("event_followers_cut_total", "Readers of events that were cut off because they lagged behind.")
	d.wireDropped = desc("wire_dropped_total", "VRRP packets that could not be sent.", "interface")

	d.state = desc("vrrp_state", "State of the instance: 0 INIT, 1 BACKUP, 2 MASTER, 3 FAULT, 4 HOLD.", "instance")
	d.priority = desc("vrrp_priority", "Base priority.", "instance")
	d.effective = desc("vrrp_effective_priority", "Priority with the weights of the tracks.", "instance")
	d.sent = desc("vrrp_adverts_sent_total", "Adverts sent.", "instance")
	d.received = desc("vrrp_adverts_received_total", "Valid adverts received.", "instance")
	d.zeroSent = desc("vrrp_priority_zero_sent_total", "Resignations sent.", "instance")
	d.zeroReceived = desc("vrrp_priority_zero_received_total", "Resignations received.", "instance")
	d.becameMaster = desc("vrrp_became_master_total", "Transitions to MASTER.", "instance")
	d.discarded = desc("vrrp_adverts_discarded_total", "Adverts that were not valid.", "instance", "reason")

	d.vipOwned = desc("vip_owned", "Whether this node holds the VIP.", "vip", "instance")
	d.vipLease = desc("vip_lease_seconds", "What remains of the kernel's lease of a VIP that is held.", "vip", "instance")
	d.checkerUp = desc("checker_up", "Whether the check of this node passes.", "checker")
	d.serviceUp = desc("service_up", "Whether the real servers that are up reach the quorum.", "service")
	d.serverUp = desc("real_server_up", "Whether the real server passes its checks.", "service", "real_server")
	d.serverWeight = desc("real_server_weight", "Weight in IPVS; 0 where it holds none.", "service", "real_server")
	d.active = desc("real_server_active_connections", "Active connections by IPVS.", "service", "real_server")
	d.inactive = desc("real_server_inactive_connections", "Inactive connections by IPVS.", "service", "real_server")

	d.pluginUp = desc("plugin_up", "Whether the plugin's process runs.", "plugin", "kind")
	d.pluginRestarts = desc("plugin_restarts_total", "Times that the plugin's process was started again.", "plugin", "kind")
	d.outboxQueued = desc("outbox_queued", "Events that wait for the notifier.", "notifier")
	d.outboxDelivered = desc("outbox_delivered_total", "Events that the notifier took.", "notifier")
	d.outboxDropped = desc("outbox_dropped_total", "Events that found the notifier's queue full.", "notifier")
	d.outboxFailed = desc("outbox_failed_total", "Events that were given up after all attempts.", "notifier")
	return d
}
