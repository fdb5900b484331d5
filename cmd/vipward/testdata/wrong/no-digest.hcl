plugin "fussy" { sha256 = "deadbeef" }
checker "fussy" "c" {
  query = "no fault"
}
