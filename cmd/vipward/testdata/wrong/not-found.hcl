checker "fusy" "c" {
  query = "no fault"
}
