# Two virtual routers on two links that are master on the same router or on none.

node "lb1" { address = "10.77.0.1" }
node "lb2" { address = "10.77.0.2" }

notifier "exec" "legacy" {
  command = ["/usr/local/bin/notify.sh"]
}

defaults { notify = ["legacy"] }

vrrp_instance "web" {
  interface         = "eth0"
  virtual_router_id = 51
  priority          = { lb1 = 150, lb2 = 100 }

  virtual_address "10.77.0.100/32" {}
}

vrrp_instance "db" {
  interface         = "eth1"
  virtual_router_id = 52
  priority          = { lb1 = 150, lb2 = 100 }

  virtual_address "10.78.0.100/32" {}
}

vrrp_sync_group "all" {
  instances = ["web", "db"]
}
