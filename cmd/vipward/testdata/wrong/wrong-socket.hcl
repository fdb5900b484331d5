plugin "fussy" { path = "bin/elsewhere" }
checker "fussy" "c" {
  query = "no fault"
}
