checker "fussy" "c" {
  query = "no fault"
  user  = "monitor"
}
