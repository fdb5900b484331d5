checker "fussy" "c" {
  query = "no fault"
  limit = 2.5
}
