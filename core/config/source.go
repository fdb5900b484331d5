package config

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// source is one file.
type source struct {
	name string // as in diagnostics
	hcl  *hcl.File
}

func (s *source) body() *hclsyntax.Body { return s.hcl.Body.(*hclsyntax.Body) }

func (s *source) dir() string { return filepath.Dir(s.name) }

// readSources reads and parses a file, or the files *.hcl of a directory in the order of their names, but for the lock file. The hash is over their
// names and bytes, not over where they are, so that it is the same on all nodes.
func readSources(path string) (sources []*source, hash string, diags hcl.Diagnostics) {
	names, err := sourceNames(path)
	if err != nil {
		return nil, "", hcl.Diagnostics{unreadable(path, err)}
	}
	sum := sha256.New()
	for _, name := range names {
		src, err := readFile(name)
		if err != nil {
			diags = append(diags, unreadable(name, err))
			continue
		}
		fmt.Fprintf(sum, "%s\n%d\n", filepath.Base(name), len(src))
		sum.Write(src)
		s, more := parse(src, name)
		diags = append(diags, more...)
		sources = append(sources, s)
	}
	return sources, hex.EncodeToString(sum.Sum(nil))[:12], diags
}

func parse(src []byte, name string) (*source, hcl.Diagnostics) {
	if diags := checkLimits(src, name); diags.HasErrors() {
		return &source{name, &hcl.File{Body: &hclsyntax.Body{}, Bytes: src}}, diags
	}
	f, diags := hclsyntax.ParseConfig(src, name, hcl.InitialPos)
	return &source{name, f}, diags
}

// Syntax reports what in the bytes of a file is no HCL, or would exhaust the parser. It evaluates nothing.
func Syntax(src []byte, name string) Diagnostics {
	s, diags := parse(src, name)
	return fromHCL(diags, map[string]*hcl.File{name: s.hcl})
}

// sourceNames lists what to read at path.
func sourceNames(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path) // sorted by name
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".hcl") && !strings.HasPrefix(e.Name(), ".") && !e.IsDir() && e.Name() != LockName {
			names = append(names, filepath.Join(path, e.Name()))
		}
	}
	if len(names) == 0 {
		return nil, errors.New("the directory has no file that ends in .hcl")
	}
	return slices.Clip(names), nil
}

// readFile reads one byte more than is allowed, so that a file that is too large is seen as such and no device fills the memory.
// A pipe is read, but not waited for.
func readFile(name string) ([]byte, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) == 0 && info.Mode()&fs.ModeNamedPipe != 0 {
		return nil, errors.New("it is a pipe that nobody writes to")
	}
	return text, err
}

func unreadable(path string, err error) *hcl.Diagnostic {
	var at *fs.PathError
	if errors.As(err, &at) {
		err = at.Err
	}
	return &hcl.Diagnostic{
		Severity: hcl.DiagError,
		Summary:  fmt.Sprintf("cannot read the configuration %s", path),
		Detail:   fmt.Sprintf("%v. Give the path of a file, or of a directory with files *.hcl.", err),
	}
}
