notifier "fussy" "n" {}
