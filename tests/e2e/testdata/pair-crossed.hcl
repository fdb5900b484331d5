# Two virtual routers, each router the preferred master of one.

node "lb1" { address = "10.77.0.1" }
node "lb2" { address = "10.77.0.2" }

vrrp_instance "web" {
  interface         = "eth0"
  virtual_router_id = 51
  priority          = { lb1 = 150, lb2 = 100 }

  virtual_address "10.77.0.100/32" {}
}

vrrp_instance "db" {
  interface         = "eth0"
  virtual_router_id = 52
  priority          = { lb1 = 100, lb2 = 150 }

  virtual_address "10.77.0.101/32" {}
}
