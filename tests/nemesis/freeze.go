package nemesis

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// cgroups are where this machine can freeze processes: the file that does it, and what it takes.
type cgroups struct{ root, file, freeze, thaw string }

// freezer finds them: of version 2 (Documentation/admin-guide/cgroup-v2.rst), else the freezer of version 1.
func freezer() (c cgroups, err error) {
	text, err := os.ReadFile("/proc/mounts")
	if err != nil {
		return c, err
	}
	for line := range strings.Lines(string(text)) {
		switch f := strings.Fields(line); {
		case f[2] == "cgroup2":
			return cgroups{f[1], "cgroup.freeze", "1", "0"}, nil
		case f[2] == "cgroup" && strings.Contains(f[3], "freezer"):
			c = cgroups{f[1], "freezer.state", "FROZEN", "THAWED"}
		}
	}
	if c.root == "" {
		return c, errors.New("neither cgroups of version 2 nor the freezer of version 1 are mounted")
	}
	return c, nil
}

// canFreeze tries it.
func canFreeze() error {
	c, err := freezer()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(c.root, "vw-")
	if err != nil {
		return err
	}
	_, err = os.Stat(filepath.Join(dir, c.file))
	return errors.Join(err, os.Remove(dir))
}

// freeze stops all processes of lb1 by a cgroup of their own. They are not told, and cannot be waked by a signal.
func (p *pair) freeze() {
	c, err := freezer()
	p.Must(err)
	p.frozen, err = os.MkdirTemp(c.root, "vw-")
	p.Must(err)
	p.Cleanup(p.thaw)
	for _, pid := range p.lb1.Tree() {
		p.Must(os.WriteFile(filepath.Join(p.frozen, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0))
	}
	p.Must(os.WriteFile(filepath.Join(p.frozen, c.file), []byte(c.freeze), 0))
}

// thaw lets them go on, out of the cgroup, which is removed.
func (p *pair) thaw() {
	if p.frozen == "" {
		return
	}
	c, err := freezer()
	p.Must(err)
	p.Must(os.WriteFile(filepath.Join(p.frozen, c.file), []byte(c.thaw), 0))
	for {
		text, err := os.ReadFile(filepath.Join(p.frozen, "cgroup.procs"))
		p.Must(err)
		if len(text) == 0 {
			break
		}
		for pid := range strings.FieldsSeq(string(text)) {
			_ = os.WriteFile(filepath.Join(c.root, "cgroup.procs"), []byte(pid), 0) // it may have ended
		}
	}
	p.Must(os.Remove(p.frozen))
	p.frozen = ""
}
