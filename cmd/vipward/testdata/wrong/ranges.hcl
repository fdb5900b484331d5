checker "fussy" "c" {
  query  = "no fault"
  limit  = 11
  grace  = "6s"
  ratio  = 1.5
  status = [200, 700]
}
