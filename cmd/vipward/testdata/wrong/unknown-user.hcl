plugin "fussy" { user = "nobody-at-all" }
checker "fussy" "c" {
  query = "no fault"
}
