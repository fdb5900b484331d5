plugin "fussy" {
  usr          = "nobody"
  user         = "nobody-at-all"
  path         = ["bin/hello"]
  env          = ["A=b"]
  args         = "-x"
  capabilities = ["net_rwa", "all"]
  writable     = ["tmp"]
}
checker "fussy" "c" {
  query = "no fault"
}
