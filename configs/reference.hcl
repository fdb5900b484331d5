# Every block and attribute of vipward, with its default where it has one. This file is valid as it stands.
#
# Durations are texts with a unit: "250ms", "1s", "1m30s". Addresses are "10.0.0.1", prefixes "10.0.0.1/24", endpoints
# "10.0.0.1:80". Every attribute of vrrp_instance (with its blocks), vrrp_sync_group and checker can be a map by node: { lb1 = 150, lb2 = 100 }.
# Expressions may use local.NAME, var.NAME, node.name, node.address, the functions of HCL's library, env("NAME"), file("PATH")
# relative to this file, sha256(TEXT), md5(TEXT), try(A, B), can(A), and cidrhost, cidrsubnet, cidrnetmask, cidrcontains,
# cidraddress and cidrlength. A block dynamic "TYPE" { for_each labels content {} } repeats blocks.

# The members of the pair. A daemon finds itself by its host name, or by --node. One node alone is fine, and so is none.
node "lb1" {
  address = "10.0.0.1" # by which its peers reach it, with heartbeats over UDP port 51120; no default

  # Another way to it, as many as you like: heartbeats take all of them.
  heartbeat "cross" {
    address   = "192.168.9.1" # no default
    interface = "eth3"        # that of the route without it
    routed    = false         # true: routers are between, so that a heartbeat may have been forwarded; then key_file of arbitration is advised
  }
}
node "lb2" { address = "10.0.0.2" }

# A value to be set from outside: VIPWARD_VAR_network in the environment goes before the default.
variable "network" {
  type        = string # any type when left out
  default     = "10.0.0.0/24"
  description = "the network of the services"
}

locals {
  vip = cidrhost(var.network, 100)
}

# What others inherit that do not set it themselves.
defaults {
  notify      = []   # names of notifiers, of instances and services
  start_delay = "1s" # of instances; each has its advert_interval without it

  # How VIPs are announced, by gratuitous ARP.
  garp {
    delay          = "5s" # from the first burst to the second; "0s": no second; up to 1h
    repeat         = 5    # announcements in a burst, 1 to 100
    refresh        = "0s" # between later announcements; "0s": none; up to 24h
    refresh_repeat = 1    # announcements in each refresh, 1 to 100
    interval       = "0s" # between two announcements on an interface, up to 10s; "0s": 256 at once, then 1000 a second
  }

  # Timing of checks. Without this block a checker has 2s and 1s, a check of a real server 10s and 5s, and both rise = fall = 1.
  check {
    interval = "2s" # 10ms to 24h
    timeout  = "1s" # at most the interval, else the next run is late
    rise     = 1    # passes in a row before up, 1 to 1000
    fall     = 1    # failures in a row before down, 1 to 1000
  }
}

# The read-only HTTP listener with metrics, health and the status page. There is none without this block.
listen {
  address = "127.0.0.1:9112" # no default; ":9112" is every address of the machine
}

log {
  level  = "info"   # debug, info, warn, error
  format = "text"   # text or json; by default text on a terminal and json elsewhere
  output = "stderr" # stderr, syslog, or the absolute path of a file
}

# Only for a plugin that is not found by its name in the plugin directories, or that is to be pinned or confined otherwise.
#
# Without it a plugin of a third party, and a bundled one that only speaks to the network, runs as the user vipward-plugin, or nobody
# where there is none, without any capability, and with landlock(7) in the kernel it writes to a folder of its own only (its
# TMPDIR). Of the bundled ones, exec, execd, fence-agent and nginx run as the daemon does, for what they start may do anything;
# fifo, file, mysql, postgres, redis and ssh run as root without most capabilities, for files that only root can read. ping has
# net_raw, and device, fwmark and through_vip give a bundled plugin what they take; so do key_file, password_file and token_file of a
# notifier, fencer or witness: dac_read_search, to read it. vipward plugin info NAME shows the rest. Any other file that a plugin
# reads itself, as key_file of a block tls, must be readable for its user; user = "root" alone grants no capability.
#
# The executable and its folder must belong to root, or to whoever owns vipward, and nobody else may write to them. The file
# plugins.lock.hcl beside the configuration, which vipward plugin lock writes, has the digests of all plugins of third parties.
# Where it is there, no other file of theirs runs.
#
# plugin "http" {
#   path         = "/opt/vipward/vipward-plugin-http" # relative to this file
#   sha256       = "64 hexadecimal digits"            # what the executable must have; any without it
#   user         = "vipward"                          # that it runs as
#   capabilities = ["net_raw"]                        # that it has, none but these; ["all"] is all that the daemon has
#   writable     = ["/var/lib/mine"]                  # where it may write, besides its own folder; ["/"] is wherever its user may
#   env          = { NAME = "value" }                 # its environment, which is otherwise empty
#   args         = []                                 # its arguments
# }

# A check of the node itself, which instances track: the kind of plugin, and a name. Besides these attributes it takes those of
# the plugin (vipward plugin docs http).
checker "http" "local" {
  url = "http://127.0.0.1/alive"

  interval = "2s"
  timeout  = "1s"
  rise     = 1
  fall     = 1
  initial  = "up" # or "down"; without it what it influences waits for the first result
}

# Who hears of events. Besides these attributes it takes those of the plugin.
notifier "exec" "script" {
  command = ["/etc/vipward/notify.sh"]

  events = ["instance", "group", "real_server"] # of: daemon, instance, group, address, route, real_server, service, checker, plugin, notifier, fencer, interface, node, witness
  retry  = 100                                  # attempts after the first, 0 to 100; with pauses of 1s, 2s, 4s up to 1m
}

# What can take the power away from a node. Besides these attributes it takes those of the plugin: exec, fence-agent, ipmi, redfish,
# ssh, webhook. The daemon asks each how its node is every 5 minutes; vipward fence test tries it without an effect. When it
# switches the node off says the block fencing.
fencer "exec" "lb-power" {
  off    = ["/usr/local/sbin/power", "off", "{node}"]
  status = ["/usr/local/sbin/power", "status", "{node}"] # exit status 0 for on, 2 for off

  timeout = "20s" # of one call, 1s to 60s
}

# When the node lb2 is taken off before, or while, another one takes over from it. Every attribute may differ by node.
fencing "lb2" {
  mode        = "off" # required: a takeover waits for the confirmation; best_effort: for it or 5s, whichever comes first
  delay       = "0s"  # before the shot, 0s to 1m; a node that owns less than its silent peer waits at least 5s
  dry_run     = false # true: say what would be done, have the fencers try it without an effect, and wait for nothing
  auto_rejoin = false # true: lb2 takes part again as soon as it is back; else after vipward maintenance off on it

  level { devices = ["lb-power"] } # all must confirm; the next level is tried when one has failed twice
}

# Who says which node may hold an instance. Besides this attribute it takes those of the plugin: http (a vipward witness on a third
# machine), etcd, consul.
witness "http" "third" {
  url = "http://10.9.0.5:9116"
  # key_file = "/etc/vipward/witness.key" # both sides sign with it; none without it
  timeout = "1s" # of one call, 100ms to 10s
}

# What has to be known before this node takes over. Every attribute may differ by node.
arbitration {
  probe_vip       = true        # ask by ARP or neighbour discovery who answers for a VIP
  references      = ["gateway"] # addresses that prove by answering that this node is not cut off; [] for none
  on_hold_expired = "hold"      # a silent peer that answers for the VIP after its lease: hold, fence it, or takeover
  witness         = "third"     # none without it
  witness_ttl     = "5s"        # of a grant: 3s to 5m, at least three times the timeout; renewed after a third
  on_witness_loss = "failsafe"  # a master whose grant ends unanswered goes on; release: it lets go, and nobody takes over without a grant; always so with fencing required
  heartbeat_port  = 51120       # UDP, the same on all nodes
  # key_file      = "/etc/vipward/pair.key" # signs the heartbeats, the same on all nodes; as key_file of authentication
}

# A virtual router.
vrrp_instance "web" {
  interface         = "eth0"                   # that the adverts travel on; no default
  virtual_router_id = 51                       # 1 to 255, the same on all nodes, unique in the network; no default
  version           = 3                        # 2 or 3
  priority          = { lb1 = 150, lb2 = 100 } # 1 to 254, the higher is master; 255 owns the addresses; 100 without it
  advert_interval   = "1s"                     # version 3: 10ms to 40.95s in steps of 10ms; version 2: 1s to 255s in whole seconds
  initial_state     = "BACKUP"                 # MASTER makes the first wait shorter
  preempt           = true                     # take over from a master of lower priority
  preempt_delay     = "0s"                     # how long it is left alone; 0s to 1000s; only with preempt = true
  start_delay       = "1s"                     # at start, how long links and checks must be well; 0s to 1h; advert_interval without it
  accept            = true                     # false: nftables drops packets to the VIPs, unless this node owns them (priority 255)
  use_vmac          = false                    # true: the VIPs are on a macvlan with the MAC address 00:00:5e:00:01:VRID, IPv6 …:02:VRID
  checksum          = "auto"                   # rule of version 3: rfc9568, pseudo (RFC 5798, keepalived), auto follows the peer
  strict_addresses  = false                    # discard adverts with other addresses, over IPv6 also without a link-local one first
  lease             = "auto"                   # how long the kernel keeps the VIPs of a dead daemon: "off", or 1s to 1h in whole seconds;
  # with adverts faster than 400ms "fast", or below 1s in milliseconds: nftables ends it
  notify = ["script"] # names of notifiers; defaults.notify without it

  # With ipvs { sync }: a master of lower priority is left alone until this node has listened for so long that it knows its
  # connections (see there). Nothing but preemption waits: a master that dies or resigns is replaced at once, and after a minute
  # in which this node could not listen it preempts all the same. true by itself for the instance that sync names.
  preempt_when_synced = true

  # source_address = "10.0.0.1"                # that adverts are sent from; the interface's first address without it

  # Adverts to each peer instead of the multicast group. The node's own address in the list is left out.
  unicast {
    peers   = ["10.0.0.1", "10.0.0.2"] # no default
    source  = node.address             # the same as source_address
    min_ttl = 255                      # least TTL of an advert, 1 to 255; 255 is a peer on the same network; 64 for keepalived over IPv6
  }

  # Keys that sign the adverts, as keepalived has them from 2.4.2 on; the clocks of the nodes must agree.
  #
  # authentication {
  #   type     = "hmac"
  #   key_file = "/etc/vipward/vrrp.key" # nobody else may read it: 32 to 64 bytes, or hex: with 64 to 128 digits
  #   key_id   = 1                       # of this key, 1 to 255
  #   mode     = "enforce"               # receive-only, then permissive, then enforce, each on all nodes, on a running pair
  #   window   = "5s"                    # how far the clocks may be apart, 1s to 300s; three advert_intervals and at least 5s without it
  #   accept "2" { key_file = "/etc/vipward/vrrp.new" } # another key that is accepted, while a new one goes round
  # }
  #
  # Only with version = 2, for keepalived's auth_pass, which anybody on the network can read:
  #
  # authentication {
  #   type     = "pass"
  #   password = "secret12" # 1 to 8 characters, the same on all nodes
  # }

  # A VIP, with its prefix length. The adverts go over the family of the first one and name up to 255 of it, 89 of IPv6.
  virtual_address "10.0.0.100/32" {
    interface  = "eth0"     # that holds it; the instance's own without it
    label      = "eth0:vip" # begins with the interface, up to 15 bytes; none without it
    scope      = "global"   # global, link, host or 0 to 254
    advertised = true       # false: held, and not in the adverts; of either family, as many as you like
  }

  # vmac_interface = "vrrp.51" # name of that macvlan; only with use_vmac = true; "vrrp.VRID" without it, over IPv6 "vrrp6.VRID"

  # A route of either family while this node is master, as ip route takes it. Somebody else's is never replaced.
  virtual_route "0.0.0.0/0" {
    via       = "10.0.0.254" # next hop
    interface = "eth0"       # one of the two is needed, unless type says otherwise
    table     = 100          # 1 to 4294967295, "main", "local", "default"; main without it
    metric    = 0            # the least wins; 0 is the kernel's default
    source    = "10.0.0.100" # of own packets; with a VIP here the route goes with it, also when the daemon is killed
    type      = "unicast"    # or blackhole, unreachable, prohibit
    mtu       = 1400         # that of the interface without it
    onlink    = false        # true: via is a neighbour, whatever the addresses say
    track     = true         # the kernel refuses it: FAULT; false: an event
    # scope   = "link"       # of IPv4: global, link, host or 0 to 254; what fits without it
  }

  # A rule that chooses a table, as ip rule takes it. All that it names must be so.
  virtual_rule {
    priority = 100          # place in the list of rules, the least first, 1 to 4294967295; no default
    from     = "10.0.0.100" # address or network; all without it
    to       = "10.9.0.0/16"
    iif      = "eth0"      # that packets came by
    oif      = "eth1"      # that a socket is bound to
    fwmark   = "0x10/0xff" # mark and mask
    table    = 100         # no default with type = "lookup"
    type     = "lookup"    # or blackhole, unreachable, prohibit
    family   = "ipv4"      # or ipv6, where neither from nor to says it
    track    = true        # as above
  }

  # What the instance depends on: a checker, an interface, or something with a check of its own
  # (see vrrp_sync_group below). While it is down the instance is in FAULT, or has another priority.
  track "checker" {
    name    = "local"
    weight  = -60   # added to the priority: while down if negative, while up if positive; -253 to 253; without it down means FAULT
    reverse = false # exchange up and down
  }
  # track "virtual_server" { # down while the service lacks its quorum, or max_ejected suspects this node's own network
  #   name   = "web"
  #   weight = -60
  # }
  track "interface" {
    name = "eth0"
  }

  # As in defaults.
  garp {
    delay          = "5s"
    repeat         = 5
    refresh        = "0s"
    refresh_repeat = 1
    interval       = "0s"
  }
}

# A virtual router over IPv6 (version 3). Its first VIP should be link-local (RFC 9568 section 5.2.9).
vrrp_instance "web6" {
  interface         = "eth0"
  virtual_router_id = 51 # each family has its own
  priority          = { lb1 = 150, lb2 = 100 }

  virtual_address "fe80::100/128" {}
  virtual_address "2001:db8::100/128" {}

  track "checker" {
    name   = "local"
    weight = -60
  }
  track "interface" {
    name = "eth0"
  }
}

# Instances that are MASTER on the same node, all of them or none: one in FAULT takes all to FAULT, and a hand-over moves all. The
# same node has the highest priority in each, and what one of them tracks counts for all.
vrrp_sync_group "dual-stack" {
  instances = ["web", "web6"] # no default
  notify    = ["script"]      # hears of the group, as GROUP NAME STATE 0; defaults.notify without it

  # What all of them depend on, as in vrrp_instance.
  #
  # The following are a checker and its track in one: they take interval, timeout, rise, fall and initial as a checker does, weight
  # and reverse, and what the plugin of the checker takes. A script is that of the checker exec: no shell reads it, any exit status
  # but 0 is down, and at the timeout it is killed with what it started.
  track "script" {
    command = ["/usr/bin/test", "-e", "/run/ready"]
    user    = "nobody" # that it runs as; root without it
    name    = "ready"  # for people; the program's without it
    weight  = -60
  }
  track "process" {
    name   = "haproxy" # of the program; or command = ["java", "-jar"], how its command line begins
    quorum = 1         # processes that there must be at least; quorum_max is at most
    weight = -60
  }
  # With a weight, the number in the file times the weight is added to the priority, and below -253 is FAULT; without one 0 is up
  # and any other number down.
  track "file" {
    path   = "/run/vipward-priority"
    weight = 1
  }
}

# A service of IPVS.
virtual_server "web" {
  address                 = "${local.vip}:80" # or "[2001:db8::100]:80"; no default
  protocol                = "tcp"             # tcp, udp, sctp
  scheduler               = "wlc"             # rr, wrr, lc, wlc, fo, ovf, lblc, lblcr, dh, sh, mh, sed, nq, twos
  scheduler_flags         = []                # sh-port and sh-fallback with sh, mh-port and mh-fallback with mh
  one_packet              = false             # each datagram by itself; only with protocol = "udp"
  forward                 = "dr"              # dr, nat, tun; no default
  persistence             = "0s"              # how long a client keeps its server, in whole seconds; "0s": not at all
  persistence_granularity = 32                # length of the netmask that groups clients for it; 1 to 32, over IPv6 1 to 128
  inhibit_on_failure      = false             # keep a server that is down in the table, with weight 0
  notify                  = ["script"]        # names of notifiers; defaults.notify without it

  quorum      = 1     # total weight up that makes the service count as up
  hysteresis  = 0     # up at quorum + hysteresis, down below quorum - hysteresis
  quorum_up   = []    # names of notifiers that hear of the service coming up, besides those of notify
  quorum_down = []    # and of its going down
  alpha       = false # true: no check may say initial = "up"; a server is out until its first success anyway
  omega       = false # tell of the service and its servers going down when the daemon ends

  # The share of servers that may be out because their checks fail. When more of them fail at once, this node's own network is
  # suspected: those that were good stay in, an event says so, and a track "virtual_server" counts the service as down.
  # With that track the peer gives the second opinion: it takes over and goes by its own checks, unless it suspects itself as well.
  # The suspicion ends when no more servers fail than this share: what is then still down leaves.
  max_ejected = "100%" # 1% to 100%
  slow_start  = "0s"   # how long a server that comes back takes to get its whole weight; up to 1h, in whole weights from 1 on

  # How long a real server that is removed from this file keeps the connections that it has, while it gets no new ones; "0s": not at
  # all; up to 24h. One that is down leaves at once. When the whole virtual_server is removed, its servers leave in the same way, and it
  # goes with the last of them; it goes at once where its VIP is removed as well, since nobody reaches it then.
  drain_timeout = "5m"

  # A server that failed so often is kept out until it has passed for a while. There is none without this block.
  damping {
    failures = 3    # 2 to 1000
    window   = "5m" # within which they count, 1s to 24h
    hold     = "1m" # how long it has to pass then, 1s to 24h
  }

  # Serves while the quorum is not reached; nobody checks it. There is none without this block.
  sorry_server "10.0.0.99:80" {
    forward = "dr"  # that of the service without it
    inhibit = false # true: the real servers stay in the table meanwhile, with weight 0
  }

  # With dr and tun the port is that of the service, and without tun the family as well.
  real_server "10.0.0.11:80" {
    weight             = 1     # 0 to 65535; 0 takes no new connections
    forward            = "dr"  # that of the service without it
    inhibit_on_failure = false # that of the service without it
    upper_threshold    = 0     # connections at which it is full; 0: never
    lower_threshold    = 0     # connections below which it takes new ones again
    notify             = []    # names of notifiers of this server, besides those of the service

    # Checks of its own, instead of those of the service.
    check "tcp" {
      interval       = "10s"
      timeout        = "5s"
      rise           = 1
      fall           = 1
      retry_interval = "1s"   # interval after the first failure; the interval without it
      initial        = "down" # verdict before the first result: up or down
      warmup         = "1s"   # the first run comes after a random part of it; up to the interval; 1s, or the interval where that is less
      on_unknown     = "keep" # what a check that cannot be made, or of which nothing is heard, does: keep leaves all as it is; down, up

      # weight = 10 # with it the check does not decide about up and down: it adds this to the server's weight while it passes

      # How to connect; all may be left out. They hold for every check and checker, unless its plugin has one of the same name.
      address = "10.0.0.11" # instead of the real server's; also with a port, as "10.0.0.11:8080". keepalived's connect_ip
      port    = 80          # instead of the real server's. keepalived's connect_port
      source  = "10.0.0.1"  # source address; the kernel's choice without it. keepalived's bindto
      device  = "eth0"      # interface; that of the route without it. keepalived's bind_if. Takes the capability net_raw
      fwmark  = 7           # firewall mark of the packets, 1 to 4294967295; none without it. Takes the capability net_admin

      # true, for dr and tun: the check reaches the real server as a client's packets do: by its hardware address or through the
      # tunnel, with the VIP as their destination. It finds what a check of the server's own address cannot: a VIP that is missing
      # on lo, a tunnel device that is down or filters. It goes from `source`, without it from the `address` of the block node, to
      # the address and port of the virtual_server, unless address and port are given here. Write fall = 2 at least. A real server
      # that answers ARP for the VIP is not found out, nor, by the backup, one that forwards packets (ip_forward) which it should
      # take. On each node it takes one service of IPVS by firewall mark, 0x76000000 to 0x76ffffff, for each real server; and while
      # there is such a check, the sysctls accept_local = 1 and, where it is strict, rp_filter = 2 of the interface to the real
      # server. Needs the capability net_admin, which bundled plugins get by themselves.
      through_vip = false
    }
  }
  real_server "10.0.0.12:80" {}

  # Of every real server that has no check of its own. Besides these attributes it takes those of the plugin.
  check "http" {
    path     = "/index.html"
    interval = "10s"
    timeout  = "5s"
  }
}

# A service under several addresses: lists, ranges, networks, ranges of ports. Each address with each port is one service of
# IPVS, up to 4096. With fwmark they are a single one: nftables gives the packets the mark, in the table inet vipward-marks.
virtual_server "group" {
  addresses = ["${local.vip}:8000-8009", "10.0.0.100-10.0.0.100:8443"]
  fwmark    = 7 # 1 to 4294967295; without addresses, rules of your own mark the packets
  forward   = "dr"
  real_server "10.0.0.11:8443" {} # with dr and tun each packet keeps its port; this one is for the checks
}

# Calls of SIP stay together by their call's identifier, and the real servers are reached through tunnels.
virtual_server "voice" {
  address            = "${local.vip}:5060"
  protocol           = "udp"
  forward            = "tun"
  persistence        = "5m"
  persistence_engine = "sip" # sip; none without it. Only with protocol = "udp"

  real_server "10.0.0.13:5060" {
    # IP in IP without this block.
    tunnel {
      type     = "gue"  # ipip, gue, gre
      port     = 6080   # of gue, 1 to 65535; no default
      checksum = "none" # none, full (gue, gre), remote (gue)
    }
  }
}

# Of IPVS as a whole. What is set is put back when it is not wished for any more.
ipvs {
  timeout_tcp    = "15m" # of an idle connection, in whole seconds, 1s to 744h; the system's without it
  timeout_tcpfin = "2m"  # of one that has been closed
  timeout_udp    = "5m"  # of a flow of datagrams

  # Sysctls, by their whole names or, of IPVS, by the last part. Without a line here vipward sets, while there are services,
  # conn_reuse_mode = 3, with persistence expire_quiescent_template = 1, so that a drained server loses its clients, and with sync
  # what stands at refresh. All are put back in the end.
  sysctl = {
    expire_nodest_conn    = 1
    "net.ipv4.ip_forward" = 1
  }

  # The exchange of connections, so that they survive a failover: the master of the instance tells of them, the other node listens.
  # There is none without this block.
  sync {
    interface = "eth0"       # that it travels on, unprotected: anybody there can forge it; no default
    instance  = "web"        # whose master tells; no default
    id        = 51           # 0 to 255, the same on both nodes; the virtual_router_id of the instance without it
    group     = "224.0.0.81" # multicast group, also of IPv6
    port      = 8848
    ttl       = 1
    maxlen    = 1472 # longest message in bytes, 1024 to 65487; what fits the interface without it

    # How soon a connection that has packets is told of again, 1s to 10m in whole seconds (sync_refresh_period, and sync_threshold
    # = "3 0"). A node that has come back knows every connection that has a packet so often after twice this time and 3s more; one
    # that has none in that time is not known before its next packet.
    refresh = "10s"
  }
}
