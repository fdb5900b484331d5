# A pair of routers that share one address and serve nothing: what VRRP needs, and no IPVS.

node "lb1" { address = "10.77.0.1" }
node "lb2" { address = "10.77.0.2" }

checker "http" "local" {
  url      = "http://127.0.0.1:8081/alive"
  status   = [200]
  interval = "500ms"
  timeout  = "300ms"
  fall     = 2
  rise     = 2
}

notifier "exec" "legacy" {
  command = ["/usr/local/bin/notify.sh"]
}

vrrp_instance "web" {
  interface         = "eth0"
  virtual_router_id = 51
  priority          = { lb1 = 150, lb2 = 100 }
  advert_interval   = "1s"

  virtual_address "10.77.0.100/32" {}

  track "checker" {
    name   = "local"
    weight = -60
  }

  notify = ["legacy"]
}
