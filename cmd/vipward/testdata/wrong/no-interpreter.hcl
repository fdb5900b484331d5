plugin "fussy" { path = "bin/orphan" }
checker "fussy" "c" {
  query = "no fault"
}
