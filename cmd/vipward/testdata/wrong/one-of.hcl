checker "fussy" "c" {
  query = "no fault"
  mode  = "fats"
}
