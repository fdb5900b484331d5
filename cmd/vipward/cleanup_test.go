package main

import "testing"

func TestStopPostLeavesARestartItsAddresses(t *testing.T) {
	for _, c := range []struct {
		result, status string
		want           bool
	}{
		{"success", "0", false}, // a stop in order
		{"signal", "KILL", true},
		{"core-dump", "ABRT", true},
		{"oom-kill", "KILL", true},
		{"watchdog", "ABRT", true},
		{"watchdog", "2", false},   // systemd looks at the status alone
		{"timeout", "KILL", false}, // a stop that took too long
		{"exit-code", "1", true},
		{"exit-code", "3", false}, // an invalid configuration: an operator has to come
		{"", "", false},           // by hand
	} {
		env := map[string]string{"SERVICE_RESULT": c.result, "EXIT_STATUS": c.status}
		if got := startsAgain(func(name string) string { return env[name] }); got != c.want {
			t.Errorf("startsAgain after %q %q = %v, want %v", c.result, c.status, got, c.want)
		}
	}
}
