package servers

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// stopped is nil once no thread of a process group runs any more: a signal takes its time to reach them all.
func stopped(group int) error {
	threads, err := filepath.Glob("/proc/[0-9]*/task/[0-9]*/stat")
	if err != nil {
		return err
	}
	for _, path := range threads {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		rest := string(text)[strings.LastIndex(string(text), ")")+1:] // proc_pid_stat(5): pid (comm) state ppid pgrp
		fields := strings.Fields(rest)
		if len(fields) < 3 || fields[2] != strconv.Itoa(group) {
			continue
		}
		if state := fields[0]; state != "T" && state != "Z" && state != "X" {
			return fmt.Errorf("%s is in the state %s", filepath.Dir(path), state)
		}
	}
	return nil
}
