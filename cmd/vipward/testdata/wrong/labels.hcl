checker "fussy" "c" {
  query = "no fault"
  header { value = "1" }
}
