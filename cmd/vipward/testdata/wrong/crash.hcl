checker "fussy" "c" {
  query = "crash"
}
