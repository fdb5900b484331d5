checker "fussy" "c" {
  query   = "a warning"
  status  = [200, 204]
  headers = { a = "1", b = "2" }
  tls { name = "x" }
  header "a" { value = "1" }
  header "b" { value = "2" }
}
