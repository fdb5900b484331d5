plugin "fussy" { user = "nobody" }
plugin "fussy" { user = "root" }
checker "fussy" "c" {
  query = "no fault"
}
