checker "fussy" "c" {
  query = "no fault"
  tsl {}
}
