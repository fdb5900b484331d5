plugin "fussy" { path = "bin/future" }
checker "fussy" "c" {
  query = "no fault"
}
