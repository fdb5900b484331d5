checker "fussy" "c" {
  query = "no fault"
  tls {}
  tls {}
  header "a" { value = "1" }
  header "b" { value = "2" }
  header "c" { value = "3" }
}
