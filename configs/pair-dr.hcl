# Two directors in front of two web servers, with direct routing. Both directors read this same file.
#
#   vipward validate /etc/vipward/pair-dr.hcl
#   vipward run --config /etc/vipward/pair-dr.hcl
#
# The real servers hold the VIP on lo and do not answer ARP for it (arp_ignore = 1, arp_announce = 2).

# The members of the pair. A daemon finds itself by its host name, or by --node.
node "lb1" { address = "10.77.0.1" }
node "lb2" { address = "10.77.0.2" }

locals {
  vip     = "10.77.0.100"
  servers = { rs1 = "10.77.0.11", rs2 = "10.77.0.12" }
}

# A check of the director itself: where its web server does not answer, the other director should be master.
checker "http" "local" {
  url      = "http://127.0.0.1:8081/alive"
  status   = [200]
  interval = "500ms"
  timeout  = "300ms"
  fall     = 2
  rise     = 2
}

# Called with keepalived's arguments on every transition.
notifier "exec" "legacy" {
  command = ["/usr/local/bin/notify.sh"]
}

vrrp_instance "web" {
  interface         = "eth0"
  virtual_router_id = 51
  priority          = { lb1 = 150, lb2 = 100 } # the higher one is master
  advert_interval   = "1s"

  virtual_address "10.77.0.100/32" {}

  # 150 - 60 is below 100: when the check fails on lb1, the VIP moves to lb2.
  track "checker" {
    name   = "local"
    weight = -60
  }

  notify = ["legacy"]
}

virtual_server "web" {
  address   = "${local.vip}:80"
  protocol  = "tcp"
  scheduler = "rr"
  forward   = "dr"

  # One real_server for each entry of local.servers.
  dynamic "real_server" {
    for_each = local.servers
    labels   = ["${real_server.value}:80"]
    content {
      weight = 1
    }
  }

  # Of every real server: two failures in a row take it out, the first success brings it back.
  check "http" {
    path     = "/index.html"
    status   = [200]
    interval = "1s"
    timeout  = "500ms"
    fall     = 2
  }
}
