plugin "fussy" {
  path   = "bin/hello"
  sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
}
checker "fussy" "c" {
  query = "no fault"
}
