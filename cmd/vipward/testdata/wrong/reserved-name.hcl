plugin "greedy" { path = "bin/vipward-plugin-fussy" }
checker "greedy" "c" {}
