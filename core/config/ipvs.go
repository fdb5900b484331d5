package config

import (
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/node"
)

// ipvsSysctls is where those of IPVS are, below /proc/sys.
const ipvsSysctls = "net/ipv4/vs/"

// syncFlush is how long the kernel keeps a message for more connections to go with it (2 s: IPVS_SYNC_FLUSH_TIME of ip_vs_sync.c),
// and a second for the way.
const syncFlush = 3 * time.Second

// syncBlock is the block `sync`, with the places that the cross-checks need.
type syncBlock struct {
	*block
	node.Sync
	refresh time.Duration
}

// readIPVS reads the block `ipvs`.
func (l *loading) readIPVS(kids map[string][]kid) {
	for _, k := range kids["ipvs"] {
		b := l.open(k, ipvsSpec(), false)
		t := &l.cfg.Node.Timeouts
		for name, d := range map[string]*time.Duration{"timeout_tcp": &t.TCP, "timeout_tcpfin": &t.TCPFin, "timeout_udp": &t.UDP} {
			*d = b.duration(name, 0, span{time.Second, 24 * 31 * time.Hour, time.Second, "The kernel counts it in whole seconds, 1s to 744h."})
		}
		l.sysctls, l.sysctlAt = b.sysctl(), b.where("sysctl")
		if s := b.single("sync", syncSpec()); s != nil {
			l.sync = s.sync()
		}
	}
}

// sync reads how connections are exchanged.
func (b *block) sync() *syncBlock {
	b.required("interface", `"eth0"`)
	b.required("instance", `"web"`)
	s := &syncBlock{block: b, Sync: node.Sync{Instance: b.text("instance", "")}}
	d := &s.Daemon
	d.Interface = b.interfaceName("interface", "")
	d.ID = uint8(b.integer("id", 0, 0, 255, "The identifier is 0 to 255, the same on both nodes and another one than that of other pairs of the network."))
	d.Port = uint16(b.integer("port", desired.SyncPort, 1, 65535, "A port is 1 to 65535."))
	d.TTL = uint8(b.integer("ttl", desired.SyncTTL, 1, 255, "The TTL of a message is 1 to 255; 1 stays on the network."))
	d.MaxLength = uint16(b.integer("maxlen", 0, 1024, 65487, "The length of a message is 1024 to 65487 bytes; without it, what fits the interface."))
	d.Group = desired.SyncGroup()
	if g := b.address("group"); g.IsValid() {
		d.Group = g
	}
	if !d.Group.IsMulticast() {
		b.fault(b.where("group"), "group %v is no multicast group", d.Group).because("Both nodes listen to it: write one like %q or \"ff02::81\".", desired.SyncGroup())
	}
	s.refresh = b.duration("refresh", 10*time.Second, span{time.Second, 10 * time.Minute, time.Second, "It is in whole seconds, 1s to 10m."})
	s.Complete = 2*s.refresh + syncFlush
	return s
}

// sysctl takes the sysctls that an operator wants, by their names as sysctl(8) writes them, or those of IPVS by their last part.
func (b *block) sysctl() (out []desired.Sysctl) {
	v, ok := b.take("sysctl")
	if !ok {
		return nil
	}
	if !isMap(v) {
		b.wrongType(v.at, "sysctl", "a map like { expire_nodest_conn = 1 }", v.Value)
		return nil
	}
	entries := v.AsValueMap()
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		_, at := v.entry(name)
		path, ok := b.sysctlPath(name, at)
		text, err := convert.Convert(entries[name], cty.String)
		if err != nil || text.IsNull() || !isNumbers(text.AsString()) {
			b.fault(at, "sysctl %s is no number", name).because("Write a number, or a text of several with spaces between them, like \"3 50\".")
			continue
		}
		if ok {
			out = append(out, desired.Sysctl{Name: path, Value: strings.Join(strings.Fields(text.AsString()), " ")})
		}
	}
	return out
}

var isNumbers = regexp.MustCompile(`^\s*-?\d+(\s+-?\d+)*\s*$`).MatchString

// sysctlPath is where a sysctl is. As for sysctl(8), a slash stands for a point in the name of an interface.
func (b *block) sysctlPath(name string, at hcl.Range) (string, bool) {
	path := strings.NewReplacer(".", "/", "/", ".").Replace(name)
	if !strings.Contains(name, ".") {
		path = ipvsSysctls + name
	}
	of, own := strings.CutPrefix(path, ipvsSysctls)
	switch {
	case own && !slices.Contains(ipvsVariables(), of):
		b.fault(at, "IPVS has no sysctl %q", of).because("It has %s.%s", list(ipvsVariables()), suggest(of, ipvsVariables()))
		return "", false
	case !strings.HasPrefix(path, "net/") || strings.Contains(path, "//") || strings.Contains(path, ".."):
		b.fault(at, "%q is no sysctl of the network", name).because(
			"Write its whole name, like \"net.ipv4.ip_forward\", or the last part of one of IPVS, like expire_nodest_conn.")
		return "", false
	}
	return path, true
}

// ipvsVariables are the sysctls of IPVS (Documentation/networking/ipvs-sysctl.rst).
func ipvsVariables() []string {
	return []string{
		"am_droprate", "amemthresh", "backup_only", "cache_bypass", "conn_reuse_mode", "conntrack", "drop_entry", "drop_packet", "est_cpulist",
		"est_nice", "expire_nodest_conn", "expire_quiescent_template", "ignore_tunneled", "nat_icmp_send", "pmtu_disc", "run_estimation",
		"schedule_icmp", "secure_tcp", "sloppy_sctp", "sloppy_tcp", "snat_reroute", "sync_persist_mode", "sync_ports", "sync_qlen_max",
		"sync_refresh_period", "sync_retries", "sync_sock_size", "sync_threshold", "sync_version",
	}
}

// neededSysctls are what an operator asks for, and what the services and the exchange of connections need besides.
func (l *loading) neededSysctls() []desired.Sysctl {
	out := l.sysctls
	need := func(name, value string) {
		if !slices.ContainsFunc(out, func(s desired.Sysctl) bool { return s.Name == ipvsSysctls+name }) {
			out = append(out, desired.Sysctl{Name: ipvsSysctls + name, Value: value})
		}
	}
	if slices.ContainsFunc(l.services, func(s *service) bool { return s.Service.Service.Persistence > 0 }) {
		need("expire_quiescent_template", "1") // else a client that is known is sent to a server of weight 0 for ever
	}
	if l.sync != nil {
		need("sync_refresh_period", strconv.Itoa(int(l.sync.refresh/time.Second)))
		need("sync_threshold", "3 0") // by time, not by the number of packets: else nobody could say when a backup knows all
	}
	return out
}

// checkSync ties the exchange of connections to its instance.
func (l *loading) checkSync() {
	for _, i := range l.instances {
		l.checkPreemptWhenSynced(i)
	}
	s := l.sync
	if s == nil {
		return
	}
	k := slices.IndexFunc(l.instances, func(i *instance) bool { return i.Name == s.Instance })
	if k < 0 {
		if s.given("instance") {
			var known []string
			for _, i := range l.instances {
				known = append(known, i.Name)
			}
			l.fault(s.where("instance"), "no vrrp_instance %q", s.Instance).because("%s", thereAre("instances", s.Instance, known))
		}
		return
	}
	if i := l.instances[k]; !s.given("id") {
		s.Daemon.ID = i.VRRP.VRID // as in keepalived
	}
	if i := l.instances[k]; !i.block.given("preempt_when_synced") {
		i.PreemptWhenSynced = i.VRRP.Preempt && i.VRRP.Priority != 255
	}
	for _, t := range l.sysctls {
		if f := strings.Fields(t.Value); t.Name == ipvsSysctls+"sync_threshold" && (len(f) != 2 || f[1] != "0") {
			l.warn(l.sysctlAt, "sync_threshold counts packets").because(
				"A connection with few packets is told of late or never then, so that a node which has come back knows not every connection when it preempts. "+
					"With \"3 0\", or without the line, each is told of every %v while it has packets.", s.refresh)
		}
	}
	l.checkMixed()
	l.cfg.Node.Sync = s.Sync
}

// checkPreemptWhenSynced reports what would wait for nothing.
func (l *loading) checkPreemptWhenSynced(i *instance) {
	b := i.block
	switch {
	case !i.PreemptWhenSynced:
	case l.sync == nil:
		b.fault(b.where("preempt_when_synced"), "preempt_when_synced without ipvs { sync }").because(
			"It waits for the connections of the other node, which are not exchanged. Add the block sync, or remove it.")
	case !i.VRRP.Preempt:
		b.fault(b.where("preempt_when_synced"), "preempt_when_synced with preempt = false").because("A router that never preempts has nothing to wait for. Remove one of the two.")
	case i.VRRP.Priority == 255:
		b.fault(b.where("preempt_when_synced"), "preempt_when_synced with priority 255").because(
			"The owner of the addresses takes them at once. Give both nodes priorities up to 254.")
	}
}

// checkMixed reports real servers that IPVS does not take while it exchanges connections.
func (l *loading) checkMixed() {
	for _, s := range l.services {
		six := s.Service.Service.Address.Addr().Is6()
		for _, r := range s.RealServers {
			if d := r.Destination; d.Address.Addr().Is6() != six && s.Service.Service.Address != (netip.AddrPort{}) {
				l.fault(s.serverAt[d.Address], "real_server %v is of another family than the service, with ipvs { sync }", d.Address).because(
					"IPVS exchanges no connections while any service has such a server. Write an address of the family of %v, or remove the block sync at %s.",
					s.Service.Service.ServiceKey, place(l.sync.at))
			}
		}
	}
}
