package process

import (
	"bytes"
	"io/fs"
	"path"
	"strings"
)

// maxName is how many bytes the kernel keeps of a process's name (TASK_COMM_LEN less its end).
const maxName = 15

// matches tells whether a process lives and has the command line. One that ends meanwhile does not.
func matches(proc fs.FS, pid string, wanted []string) bool {
	stat, err := fs.ReadFile(proc, pid+"/stat")
	if err != nil {
		return false
	}
	name, dead := parse(stat)
	if dead {
		return false
	}
	if len(wanted) == 1 && isName(name, wanted[0]) {
		return true
	}
	line, err := fs.ReadFile(proc, pid+"/cmdline")
	if err != nil || len(line) == 0 {
		return false
	}
	args := strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")
	if len(args) < len(wanted) || !isProgram(args[0], wanted[0]) && !isName(name, wanted[0]) {
		return false
	}
	for i := 1; i < len(wanted); i++ {
		if args[i] != wanted[i] {
			return false
		}
	}
	return true
}

// parse reads the name and whether the process is dead from /proc/PID/stat, where the name stands in brackets and may hold some.
func parse(stat []byte) (name string, dead bool) {
	from, to := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
	if from < 0 || to < from || to+2 >= len(stat) {
		return "", true
	}
	state := stat[to+2]
	return string(stat[from+1 : to]), state == 'Z' || state == 'X' || state == 'x'
}

// isName compares the kernel's name of a process, which it cuts.
func isName(name, wanted string) bool {
	return name == wanted || len(wanted) > maxName && name == wanted[:maxName]
}

// isProgram compares the first word of a command line: whole where a folder is wanted, else without its folder. A daemon may
// have put more into the word, as nginx does: "nginx: master process".
func isProgram(word, wanted string) bool {
	if strings.Contains(wanted, "/") {
		return word == wanted
	}
	if word, _, _ = strings.Cut(word, " "); strings.TrimSuffix(word, ":") == wanted {
		return true
	}
	return path.Base(word) == wanted
}
