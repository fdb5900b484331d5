package metrics

import "github.com/prometheus/client_golang/prometheus"

// descriptions are all metrics of the collector: the name, what it says, and by what it is told apart.
type descriptions struct {
	build, config, ready, idle, loopDropped, late, cut, wireDropped, beats, neighbours *prometheus.Desc

	state, priority, effective, sent, received, zeroSent, zeroReceived, becameMaster, discarded *prometheus.Desc

	vipOwned, vipLease, checkerUp, serviceUp, serverUp, serverWeight, active, inactive *prometheus.Desc

	serviceSuspect, serviceSorry  *prometheus.Desc
	serviceTraffic, serverTraffic trafficDescriptions

	pluginUp, pluginRestarts, pluginDropped, pluginRefused, targets, runs, lateness, stuck, lost, value, took *prometheus.Desc

	outboxQueued, outboxDelivered, outboxDropped, outboxFailed, outboxOldest, outboxUnsaved *prometheus.Desc

	fenceUp, fences, witnessUp *prometheus.Desc

	peerUp, peerRTT, conflicts, dualMaster, refused, evidence *prometheus.Desc

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
	d.beats = desc("heartbeats_total", "Heartbeats: sent, unsent, received; dropped by the kernel; forwarded by a router and not taken; refused by the other machine.", "path", "result")
	d.neighbours = desc("neighbours_total",
		"Questions who has an address: asked, unasked; answers and claims: seen, folded as no news, limited as too many, dropped by the kernel.", "result")

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
	d.serviceSuspect = desc("service_suspect", "Whether more servers fail than max_ejected lets out, so that the last good ones are kept.", "service")
	d.serviceSorry = desc("service_sorry", "Whether the sorry server serves.", "service")
	d.serviceTraffic = trafficDescriptions{
		connections: desc("service_connections_total", "Connections that IPVS has scheduled.", "service"),
		packets:     desc("service_packets_total", "Packets by IPVS; those out only where they pass the director.", "service", "direction"),
		bytes:       desc("service_bytes_total", "Bytes by IPVS; those out only where they pass the director.", "service", "direction"),
	}
	d.serverTraffic = trafficDescriptions{
		connections: desc("real_server_connections_total", "Connections that IPVS has scheduled.", "service", "real_server"),
		packets:     desc("real_server_packets_total", "Packets by IPVS; those out only where they pass the director.", "service", "real_server", "direction"),
		bytes:       desc("real_server_bytes_total", "Bytes by IPVS; those out only where they pass the director.", "service", "real_server", "direction"),
	}

	d.pluginUp = desc("plugin_up", "Whether the plugin's process runs.", "plugin", "kind")
	d.pluginRestarts = desc("plugin_restarts_total", "Times that the plugin's process was started again.", "plugin", "kind")
	d.pluginDropped = desc("plugin_results_dropped_total", "Results that belonged to no check, or to one that is not wanted any more.", "plugin", "kind")
	d.pluginRefused = desc("plugin_values_refused_total", "Figures of results without a fit name, that are no numbers, or beyond 16.", "plugin", "kind")
	d.targets = desc("plugin_check_targets", "Targets that the plugin checks.", "plugin")
	d.runs = desc("plugin_check_runs_total", "Checks that the plugin's process has made.", "plugin")
	d.lateness = desc("plugin_check_late_seconds", "How late checks began.", "plugin")
	d.stuck = desc("plugin_checks_stuck", "Checks that have not returned after their deadline.", "plugin")
	d.lost = desc("plugin_results_lost_total", "Results that the plugin's process gave up because vipward did not read them.", "plugin")
	d.value = desc("check_value", "A figure of the latest result of a check: of this node by checker, of a real server by service, real_server and check.",
		"checker", "service", "real_server", "check", "name")
	d.took = desc("check_duration_seconds", "How long the latest run of a check of a real server took.", "service", "real_server", "check")
	d.outboxQueued = desc("outbox_queued", "Events that wait for the notifier.", "notifier")
	d.outboxDelivered = desc("outbox_delivered_total", "Events that the notifier took.", "notifier")
	d.outboxDropped = desc("outbox_dropped_total", "Events that found the notifier's queue full.", "notifier")
	d.outboxFailed = desc("outbox_failed_total", "Events that were given up after all attempts.", "notifier")
	d.outboxOldest = desc("outbox_oldest_seconds", "Age of the oldest event that waits for the notifier; 0 without any.", "notifier")
	d.outboxUnsaved = desc("outbox_unsaved", "Whether the disk refuses the events that wait for notifiers, so that a crash would lose them.")
	d.fenceUp = desc("fence_device_up", "Whether the fencer's device answered when it was asked last.", "fencer", "kind")
	d.witnessUp = desc("witness_up", "Whether the witness answered when it was asked last.", "witness")
	d.fences = desc("fence_total", "Orders to switch a node off, by what became of them; a dry run is rehearsed.", "result")
	d.peerUp = desc("peer_up", "Whether heartbeats of the other member come by the path.", "path")
	d.peerRTT = desc("peer_heartbeat_rtt_seconds", "Round-trip time of the latest heartbeat that was answered by the path.", "path")
	d.conflicts = desc("vip_conflict_total", "Answers of others for a VIP that this node held.", "instance")
	d.dualMaster = desc("dual_master_seconds_total", "For how long another node was MASTER while this one was.", "instance")
	d.refused = desc("takeover_refused_total", "Takeovers that were refused, by the row of the table of evidence.", "instance", "reason")
	d.evidence = desc("evidence",
		"What was known at the latest decision about a takeover: link up, references answer, peer alive, vip answered, fence confirmed, witness granted. The unknown is not shown.",
		"instance", "kind")
	return d
}

// trafficDescriptions are of what IPVS counts of one service or real server.
type trafficDescriptions struct{ connections, packets, bytes *prometheus.Desc }
