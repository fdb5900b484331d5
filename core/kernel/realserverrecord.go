package kernel

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
)

// realServerRecord is what the setting-up of a real server has wished for, and what of it is its own work. What the sysctls were
// before is in a record beside it.
type realServerRecord struct {
	Version int `json:"version"` // 1
	RealServer
	// Addresses that were not there before.
	Addresses []placed `json:"addresses"`
	// Raised are the devices that were down before.
	Raised []string `json:"raised"`
	// Ports that were not open before.
	Ports []guePort `json:"ports"`
}

// placed is an address on an interface.
type placed struct {
	Interface string     `json:"interface"`
	Address   netip.Addr `json:"address"`
}

// prefix is that of the address alone.
func (p placed) prefix() netip.Prefix { return netip.PrefixFrom(p.Address, p.Address.BitLen()) }

func realServerFile(dir string) string { return filepath.Join(dir, "realserver.json") }

// read reads it; one that does not exist is empty.
func (r *realServerRecord) read(dir string) error {
	b, err := os.ReadFile(realServerFile(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the record of what was set up: %w", err)
	}
	if err := json.Unmarshal(b, r); err != nil {
		return fmt.Errorf("read the record of what was set up in %s: %w", realServerFile(dir), err)
	}
	return nil
}

// write is called before what it records is done.
func (r *realServerRecord) write(dir string) error {
	r.Version = 1
	b, err := json.MarshalIndent(r, "", "\t")
	if err == nil {
		err = writeFile(realServerFile(dir), append(b, '\n'))
	}
	if err != nil {
		return fmt.Errorf("write the record of what was set up: %w", err)
	}
	return nil
}
