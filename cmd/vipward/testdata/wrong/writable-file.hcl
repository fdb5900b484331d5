plugin "fussy" { path = "bin/loose" }
checker "fussy" "c" {
  query = "no fault"
}
