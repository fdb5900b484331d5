checker "fussy" "c" {
  query    = "no fault"
  question = "what?"
}
