plugin "fussy" { path = "bin" }
checker "fussy" "c" {
  query = "no fault"
}
