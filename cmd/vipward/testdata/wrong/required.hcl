checker "fussy" "c" {
  header "a" {}
}
