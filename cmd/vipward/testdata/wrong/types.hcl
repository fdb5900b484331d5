checker "fussy" "c" {
  query   = ["a"]
  limit   = "many"
  grace   = 3
  ratio   = "half"
  status  = 200
  headers = "a"
  from    = "10.0.0.1:80"
  server  = "10.0.0.1"
  network = "10.0.0.1"
  strict  = "perhaps"
}
