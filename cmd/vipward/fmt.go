package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/spf13/cobra"

	"github.com/vipward/vipward/core/config"
)

// newFmtCommand is `vipward fmt`.
func newFmtCommand(*globals) *cobra.Command {
	var check bool
	c := &cobra.Command{
		Use:   "fmt PATH",
		Short: "Bring a configuration into the canonical layout",
		Long: "Bring a configuration file, or the files *.hcl of a directory, into the canonical layout, and print the names of those\n" +
			"that were not in it. Only spaces change.",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			names, err := hclFiles(args[0])
			if err != nil {
				return err
			}
			changed, err := layOut(names, !check)
			for _, name := range changed {
				if _, err := fmt.Fprintln(c.OutOrStdout(), name); err != nil {
					return err
				}
			}
			if err == nil && check && len(changed) > 0 {
				return invalid()
			}
			return err
		},
	}
	c.Flags().BoolVar(&check, "check", false, "change nothing; exit with 3 where a file is not in the canonical layout")
	return c
}

// hclFiles lists what to lay out at a path.
func hclFiles(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("lay out %s: %w", path, errors.Unwrap(err))
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	names, err := filepath.Glob(filepath.Join(path, "*.hcl"))
	if err != nil || len(names) == 0 {
		return nil, fmt.Errorf("lay out %s: the directory has no file that ends in .hcl", path)
	}
	return names, nil
}

// layOut returns the files that are not in the canonical layout, and brings them into it if write is set.
func layOut(names []string, write bool) (changed []string, err error) {
	var all []error
	var faults config.Diagnostics
	for _, name := range names {
		differs, err := layOutFile(name, write)
		if d, ok := errors.AsType[*diagnosis](err); ok {
			faults = faults.Merge(d.Diagnostics)
		} else if err != nil {
			all = append(all, err)
		}
		if differs {
			changed = append(changed, name)
		}
	}
	if len(all) == 0 && faults.HasErrors() {
		return changed, invalidConfig(faults)
	}
	return changed, errors.Join(all...)
}

func layOutFile(name string, write bool) (differs bool, err error) {
	before, err := os.ReadFile(name)
	if err != nil {
		return false, fmt.Errorf("lay out a configuration: %w", err)
	}
	if d := config.Syntax(before, name); d.HasErrors() {
		return false, invalidConfig(d) // the layout of what is no HCL would be anybody's guess
	}
	after := hclwrite.Format(before)
	if bytes.Equal(before, after) {
		return false, nil
	}
	if write {
		err = replaceFile(name, after)
	}
	return true, err
}

// replaceFile gives a file a new content in one step, with the mode that it has. A link stays a link.
func replaceFile(name string, content []byte) error {
	target, err := filepath.EvalSymlinks(name)
	if err != nil {
		return fmt.Errorf("lay out a configuration: %w", err)
	}
	info, err := os.Stat(target)
	if err != nil {
		return fmt.Errorf("lay out a configuration: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(target), "."+filepath.Base(target)+".*")
	if err != nil {
		return fmt.Errorf("lay out %s: %w", name, err)
	}
	err = errors.Join(writeAll(f, content, info.Mode().Perm()), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), target)
	}
	if err != nil {
		return fmt.Errorf("lay out %s: %w", name, errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}

func writeAll(f *os.File, content []byte, mode fs.FileMode) error {
	if _, err := f.Write(content); err != nil {
		return err
	}
	return errors.Join(f.Chmod(mode), f.Sync())
}
