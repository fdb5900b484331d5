package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// LockName is the name of the lock file, beside the files of the configuration. It is no part of the configuration.
const LockName = "plugins.lock.hcl"

// Lock is what the lock file says of one plugin.
type Lock struct {
	// File is the path of the lock file.
	File string
	// SHA256 of the executable, in hex, by platform, as "linux_amd64"; empty for a plugin that is not in the file.
	SHA256 map[string]string
}

// LockFile is a lock file: which third-party plugins may run.
type LockFile struct {
	// Path of the file.
	Path string
	// Plugins are the digests by platform of each plugin, by its name.
	Plugins map[string]map[string]string

	src *source // nil where it could not be read
}

// of is what the file says of a plugin; nil without a file.
func (f *LockFile) of(name string) *Lock {
	if f == nil {
		return nil
	}
	return &Lock{File: f.Path, SHA256: f.Plugins[name]}
}

// LockPath is where the lock file of the configuration at path is, a file or a directory.
func LockPath(path string) string {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return filepath.Join(path, LockName)
	}
	return filepath.Join(filepath.Dir(path), LockName)
}

// ReadLock reads the lock file of the configuration at path; nil where there is none.
func ReadLock(path string) (*LockFile, Diagnostics) {
	f, diags := readLock(path)
	return f, fromHCL(diags, filesOf(f.sources()))
}

// sources is the file as a source, where it could be read.
func (f *LockFile) sources() []*source {
	if f == nil || f.src == nil {
		return nil
	}
	return []*source{f.src}
}

func readLock(path string) (*LockFile, hcl.Diagnostics) {
	f := &LockFile{Path: LockPath(path), Plugins: map[string]map[string]string{}}
	text, err := readFile(f.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return f, hcl.Diagnostics{lockFault(nil, "cannot read the lock file "+f.Path, err.Error()+".")}
	}
	src, diags := parse(text, f.Path)
	f.src = src
	if diags.HasErrors() {
		return f, diags
	}
	content, diags := src.hcl.Body.Content(&hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{header("plugin", "name")}})
	for _, b := range content.Blocks {
		digests, more := readDigests(b)
		f.Plugins[b.Labels[0]] = digests
		diags = append(diags, more...)
	}
	return f, diags
}

// readDigests reads one block of the lock file.
func readDigests(b *hcl.Block) (map[string]string, hcl.Diagnostics) {
	content, diags := b.Body.Content(&hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: "sha256", Required: true}}})
	a := content.Attributes["sha256"]
	if a == nil {
		return nil, diags
	}
	v, more := a.Expr.Value(nil)
	if diags = append(diags, more...); diags.HasErrors() {
		return nil, diags
	}
	out := map[string]string{}
	m, err := convert.Convert(v, cty.Map(cty.String))
	if err == nil && !m.IsNull() {
		for platform, digest := range m.AsValueMap() {
			if digest.IsNull() || !isHex(strings.ToLower(digest.AsString()), 64) {
				err = fmt.Errorf("the digest for %s does not have 64 hexadecimal digits", platform)
				break
			}
			out[platform] = strings.ToLower(digest.AsString())
		}
	}
	if err != nil || m.IsNull() {
		why := cmp.Or(err, errors.New("it is null"))
		return nil, append(diags, lockFault(a.Expr.Range().Ptr(), fmt.Sprintf("sha256 of plugin %q is no map of digests", b.Labels[0]), why.Error()+"."))
	}
	return out, diags
}

func lockFault(at *hcl.Range, summary, why string) *hcl.Diagnostic {
	return &hcl.Diagnostic{
		Severity: hcl.DiagError, Subject: at, Summary: summary,
		Detail: why + " The command vipward plugin lock writes this file.",
	}
}

// Bytes is the file as it is written: the plugins and their platforms in the order of their names.
func (f *LockFile) Bytes() []byte {
	out := hclwrite.NewEmptyFile()
	body := out.Body()
	for i, name := range slices.Sorted(maps.Keys(f.Plugins)) {
		if i > 0 {
			body.AppendNewline()
		}
		digests := map[string]cty.Value{}
		for platform, digest := range f.Plugins[name] {
			digests[platform] = cty.StringVal(digest)
		}
		body.AppendNewBlock("plugin", []string{name}).Body().SetAttributeValue("sha256", cty.ObjectVal(digests))
	}
	const head = "# The plugins of third parties that may run. Written by vipward plugin lock; see there before changing it by hand.\n\n"
	return append([]byte(head), hclwrite.Format(out.Bytes())...)
}
