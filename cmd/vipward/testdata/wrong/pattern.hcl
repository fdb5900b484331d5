checker "fussy" "c" {
  query = "no fault"
  code  = "ABCD"
}
