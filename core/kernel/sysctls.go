package kernel

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// sysctl is a variable of the kernel, by its path below /proc/sys, with a value.
type sysctl struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// sysctls sets variables of the network namespace of the calling thread, and remembers across runs what they were before.
type sysctls struct {
	path   string         // of the record; empty for this run only
	before []sysctlChange // in the order in which they were made
}

// sysctlChange is one that was made.
type sysctlChange struct {
	sysctl        // as it was before
	Set    string `json:"set"`
}

// sysctlFile is the form of the record.
type sysctlFile struct {
	Version int            `json:"version"` // 1
	Changes []sysctlChange `json:"changes"`
}

// readSysctls reads the record; one that does not exist is empty. There is a value in any case.
func readSysctls(path string) (*sysctls, error) {
	s := &sysctls{path: path}
	if path == "" {
		return s, nil
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, fmt.Errorf("read the record of sysctls: %w", err)
	}
	var f sysctlFile
	if err := json.Unmarshal(b, &f); err != nil {
		return s, fmt.Errorf("read the record of sysctls in %s: %w", path, err)
	}
	s.before = f.Changes
	return s, nil
}

// apply sets what is wanted and, unless told to keep it, puts back what was set before and is not wanted any more. It goes through
// all, also where some fail.
func (s *sysctls) apply(want []sysctl, keep bool) error {
	var failed []error
	for _, w := range want {
		failed = append(failed, s.set(w))
	}
	kept := s.before[:0:0]
	for _, c := range s.before {
		wanted := slices.ContainsFunc(want, func(w sysctl) bool { return w.Name == c.Name })
		if wanted || keep {
			kept = append(kept, c)
			continue
		}
		if err := c.undo(); err != nil {
			kept, failed = append(kept, c), append(failed, err)
		}
	}
	if len(kept) != len(s.before) {
		s.before = kept
		failed = append(failed, s.save())
	}
	return errors.Join(failed...)
}

// set brings one variable to its value. What it was is on the disk before it is changed.
func (s *sysctls) set(w sysctl) error {
	have, err := readSysctl(w.Name)
	if err != nil {
		return fmt.Errorf("read the sysctl %s: %w", w, err)
	}
	if have == w.Value {
		return nil
	}
	if !slices.ContainsFunc(s.before, func(c sysctlChange) bool { return c.Name == w.Name }) {
		s.before = append(s.before, sysctlChange{sysctl{w.Name, have}, w.Value})
		if err := s.save(); err != nil {
			s.before = s.before[:len(s.before)-1]
			return err
		}
	}
	if err := writeSysctl(w); err != nil {
		return fmt.Errorf("%w; set it by hand: sysctl -w %s", err, w)
	}
	return nil
}

// undo puts back what was before, unless somebody else has changed it since, or its interface has gone.
func (c sysctlChange) undo() error {
	have, err := readSysctl(c.Name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && have != c.Set {
		return nil
	}
	return errors.Join(err, writeSysctl(c.sysctl))
}

func (s *sysctls) save() error {
	if s.path == "" {
		return nil
	}
	b, err := json.MarshalIndent(sysctlFile{Version: 1, Changes: s.before}, "", "\t")
	if err == nil {
		err = writeFile(s.path, append(b, '\n'))
	}
	if err != nil {
		return fmt.Errorf("write the record of sysctls: %w", err)
	}
	return nil
}

// String is the variable as sysctl(8) writes it, where a point in the name of an interface is a slash.
func (s sysctl) String() string {
	return strings.NewReplacer("/", ".", ".", "/").Replace(s.Name) + "=" + s.Value
}

func writeSysctl(s sysctl) error {
	if err := os.WriteFile(filepath.Join("/proc/sys", s.Name), []byte(s.Value), 0o644); err != nil {
		return fmt.Errorf("set the sysctl %s: %w", s, err)
	}
	return nil
}
