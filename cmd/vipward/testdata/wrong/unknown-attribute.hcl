checker "fussy" "c" {
  query = "no fault"
  mdoe  = "fast"
  tls { colour = "red" }
}
