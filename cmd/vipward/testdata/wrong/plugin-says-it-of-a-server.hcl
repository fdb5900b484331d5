virtual_server "web" {
  address   = "10.0.0.100:80"
  scheduler = "rr"
  forward   = "nat"
  real_server "10.0.0.11:80" {}
  real_server "10.0.0.12:80" {}
  check "fussy" {
    query  = "the element"
    status = [200, 204]
  }
}
