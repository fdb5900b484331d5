plugin "fussy" { path = "bin/false" }
checker "fussy" "c" {
  query = "no fault"
}
