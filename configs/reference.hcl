# Every block and attribute of vipward, with its default where it has one. This file is valid as it stands.
#
# Durations are texts with a unit: "250ms", "1s", "1m30s". Addresses are "10.0.0.1", prefixes "10.0.0.1/24", endpoints
# "10.0.0.1:80". Every attribute of vrrp_instance (with its blocks) and of checker can be a map by node: { lb1 = 150, lb2 = 100 }.
# Expressions may use local.NAME, var.NAME, node.name, node.address, the functions of HCL's library, env("NAME"), file("PATH")
# relative to this file, sha256(TEXT), md5(TEXT), try(A, B), can(A), and cidrhost, cidrsubnet, cidrnetmask, cidrcontains,
# cidraddress and cidrlength. A block dynamic "TYPE" { for_each labels content {} } repeats blocks.

# The members of the pair. A daemon finds itself by its host name, or by --node. One node alone is fine, and so is none.
node "lb1" {
  address = "10.0.0.1" # by which its peers reach it; no default
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
  notify = [] # names of notifiers, of instances and services

  # How VIPs are announced, by gratuitous ARP.
  garp {
    delay          = "5s" # from the first burst to the second; "0s": no second; up to 1h
    repeat         = 5    # announcements in a burst, 1 to 100
    refresh        = "0s" # between later announcements; "0s": none; up to 24h
    refresh_repeat = 1    # announcements in each refresh, 1 to 100
    interval       = "0s" # between two announcements of a burst, up to 10s
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

# Only for a plugin that is not found by its name in the plugin directories, or that is to be pinned or confined.
#
# plugin "http" {
#   path   = "/opt/vipward/vipward-plugin-http" # relative to this file
#   sha256 = "64 hexadecimal digits"            # what the executable must have; any without it
#   user   = "vipward"                          # that it runs as; the daemon's own without it
#   capabilities = ["net_raw"]                  # that it has as this user; none without it
#   env    = { NAME = "value" }                 # its environment, which is otherwise empty
#   args   = []                                 # its arguments
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

  events = ["instance", "real_server"] # of: daemon, instance, address, real_server, service, checker, plugin, notifier, interface
  retry  = 3                           # attempts after the first, 0 to 100
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
  accept            = true                     # answer on the VIPs; false is not yet supported
  use_vmac          = false                    # a MAC address of the VIPs' own; true is not yet supported
  checksum          = "auto"                   # rule of version 3: rfc9568, pseudo (RFC 5798, keepalived), auto follows the peer
  strict_addresses  = false                    # discard adverts with other addresses
  lease             = "auto"                   # how long the kernel keeps the VIPs of a dead daemon: "off", or 1s to 1h in whole seconds
  notify            = ["script"]               # names of notifiers; defaults.notify without it

  # source_address = "10.0.0.1"                # that adverts are sent from; the interface's first address without it

  # Adverts to each peer instead of the multicast group. The node's own address in the list is left out.
  unicast {
    peers   = ["10.0.0.1", "10.0.0.2"] # no default
    source  = node.address             # the same as source_address
    min_ttl = 255                      # least TTL of an advert, 1 to 255; 255 is a peer on the same network
  }

  # Only with version = 2:
  # authentication {
  #   type     = "pass" # hmac is not yet supported
  #   password = "secret12" # 1 to 8 characters, the same on all nodes
  # }

  # A VIP, with its prefix length. 1 to 255 of them.
  virtual_address "10.0.0.100/32" {
    interface  = "eth0"     # that holds it; the instance's own without it
    label      = "eth0:vip" # begins with the interface, up to 15 bytes; none without it
    scope      = "global"   # global, link, host or 0 to 254
    advertised = true       # false is not yet supported
  }

  # What the instance depends on: a checker or an interface.
  track "checker" {
    name    = "local"
    weight  = -60   # added to the priority: while down if negative, while up if positive; -253 to 253; without it down means FAULT
    reverse = false # exchange up and down
  }
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

# A service of IPVS.
virtual_server "web" {
  address                 = "${local.vip}:80" # no default
  protocol                = "tcp"             # tcp, udp, sctp
  scheduler               = "wlc"             # rr, wrr, lc, wlc, fo, ovf, lblc, lblcr, dh, sh, mh, sed, nq, twos
  forward                 = "dr"              # dr, nat, tun; no default
  persistence             = "0s"              # how long a client keeps its server, in whole seconds; "0s": not at all
  persistence_granularity = 32                # length of the netmask that groups clients for it, 1 to 32
  quorum                  = 1                 # total weight up that makes the service count as up
  inhibit_on_failure      = false             # keep a server that is down in the table, with weight 0
  notify                  = ["script"]        # names of notifiers; defaults.notify without it

  # These are written only with the value that holds today; others are not yet supported.
  one_packet  = false
  hysteresis  = 0
  alpha       = false
  omega       = false
  max_ejected = "100%"
  slow_start  = "0s"

  # With dr and tun the port is that of the service.
  real_server "10.0.0.11:80" {
    weight             = 1     # 0 to 65535; 0 takes no new connections
    forward            = "dr"  # that of the service without it
    inhibit_on_failure = false # that of the service without it
    upper_threshold    = 0     # connections at which it is full; 0: never
    lower_threshold    = 0     # connections below which it takes new ones again

    # Checks of its own, instead of those of the service.
    check "tcp" {
      interval       = "10s"
      timeout        = "5s"
      rise           = 1
      fall           = 1
      retry_interval = "1s"   # interval after the first failure; the interval without it
      initial        = "down" # verdict before the first result: up or down
      warmup         = "0s"   # others are not yet supported
      on_unknown     = "keep" # others are not yet supported
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
