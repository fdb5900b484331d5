checker "fussy" "c" {
  query    = "no fault"
  password = "geheim"
}
checker "fussy" "d" {
  query    = "no fault"
  password = trimspace(file("secret.hcl"))
}
