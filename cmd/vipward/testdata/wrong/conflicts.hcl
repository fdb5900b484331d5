checker "fussy" "c" {
  query  = "no fault"
  url    = "http://10.0.0.1/"
  server = "10.0.0.1:80"
}
