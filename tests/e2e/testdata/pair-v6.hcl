# A pair of routers over IPv6, whose adverts name two addresses; an IPv4 address goes with them.

node "lb1" { address = "2001:db8:77::1" }
node "lb2" { address = "2001:db8:77::2" }

notifier "exec" "legacy" {
  command = ["/usr/local/bin/notify.sh"]
}

vrrp_instance "web" {
  interface         = "eth0"
  virtual_router_id = 51
  priority          = { lb1 = 150, lb2 = 100 }
  advert_interval   = "1s"

  virtual_address "fe80::77:100/128" {}
  virtual_address "2001:db8:77::100/128" {}
  virtual_address "10.77.0.100/32" {
    advertised = false
    label      = "eth0:web"
  }

  notify = ["legacy"]
}
