plugin "fussi" { user = "nobody" }
checker "fussy" "c" {
  query = "no fault"
}
