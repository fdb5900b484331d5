plugin "fussy" { path = "bin/none" }
checker "fussy" "c" {
  query = "no fault"
}
