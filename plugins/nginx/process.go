//go:build linux

package nginx

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// process looks for the process whose id is in a file. A file that has outlived its process may name another one by now.
func process(file, name string) finding {
	text, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return finding{kind: dead, why: fmt.Sprintf("there is no pid_file %s", file)}
	case err != nil:
		return finding{kind: unknown, why: err.Error()}
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid <= 0 {
		return finding{kind: dead, why: fmt.Sprintf("pid_file %s has no process id", file)}
	}
	is, state := processOf(pid)
	switch {
	case state == 0 || state == 'Z' || state == 'X':
		return finding{kind: dead, why: fmt.Sprintf("process %d of pid_file %s does not run", pid, file)}
	case is != "" && is != name:
		return finding{kind: dead, why: fmt.Sprintf("process %d of pid_file %s is %s, not %s", pid, file, is, name)}
	}
	return finding{}
}

// processOf is the name and the state of a process (proc_pid_stat(5)); 0 for one that is not there. The name is empty where this
// plugin may not see other users' processes.
func processOf(pid int) (name string, state byte) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err == nil {
		line := string(text)
		from, to := strings.IndexByte(line, '('), strings.LastIndexByte(line, ')')
		if from >= 0 && to > from && to+2 < len(line) {
			return line[from+1 : to], line[to+2]
		}
	}
	if err := syscall.Kill(pid, 0); err == nil || errors.Is(err, syscall.EPERM) {
		return "", '?'
	}
	return "", 0
}
