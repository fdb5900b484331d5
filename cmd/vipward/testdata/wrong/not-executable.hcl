plugin "fussy" { path = "bin/plain" }
checker "fussy" "c" {
  query = "no fault"
}
