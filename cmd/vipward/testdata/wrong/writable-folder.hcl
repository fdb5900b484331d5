plugin "fussy" { path = "open/fussy" }
checker "fussy" "c" {
  query = "no fault"
}
