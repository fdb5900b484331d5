plugin "fussy" { path = "bin/hello" }
checker "fussy" "c" {
  query = "no fault"
}
