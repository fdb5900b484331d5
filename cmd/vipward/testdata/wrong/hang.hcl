checker "fussy" "c" {
  query = "hang"
}
