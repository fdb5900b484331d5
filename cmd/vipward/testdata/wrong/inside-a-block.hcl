checker "fussy" "c" {
  query = "no fault"
  tls { nmae = "x" }
  header "a" { value = ["1"] }
}
