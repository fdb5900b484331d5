package kernel

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/vipward/vipward/core/desired"
)

// owned remembers across runs which services of IPVS are this project's, since IPVS keeps no mark of an owner. The file
// belongs under /run: the kernel's table does not outlive the machine either. An empty path remembers for this run only.
type owned struct {
	path string
	// keys are the services that are ours, with how long their real servers have to leave when the service itself is not wished for any more.
	keys map[desired.ServiceKey]time.Duration
	// before are the time-outs that the system had before ours; nil while they are its own.
	before *desired.Timeouts
	// syncs are the daemons for the synchronisation of connections that are ours.
	syncs []desired.SyncRole
	// leaving are the real servers that leave, and until when they may: a restart gives them no more time.
	leaving leaving
}

// ownedFile is the form of the file.
type ownedFile struct {
	Version  int          `json:"version"` // 1
	Services []ownedEntry `json:"services"`
	// Timeouts that the system had before ours, in nanoseconds.
	Timeouts *desired.Timeouts `json:"timeouts,omitempty"`
	// Syncs are the roles of our daemons that synchronise connections.
	Syncs []desired.SyncRole `json:"syncs,omitempty"`
	// Leaving are the real servers that leave.
	Leaving []ownedLeaving `json:"leaving,omitempty"`
}

type ownedLeaving struct {
	Address  netip.AddrPort   `json:"address"`
	Protocol desired.Protocol `json:"protocol"`
	Mark     uint32           `json:"mark,omitempty"`
	Server   netip.AddrPort   `json:"real_server"`
	Until    time.Time        `json:"until"`
}

type ownedEntry struct {
	Address  netip.AddrPort   `json:"address"`
	Protocol desired.Protocol `json:"protocol"`
	Mark     uint32           `json:"mark,omitempty"`
	// Drain is in nanoseconds.
	Drain time.Duration `json:"drain,omitempty"`
}

// readOwned reads the file; one that does not exist is empty.
func readOwned(path string) (*owned, error) {
	o := &owned{path: path, keys: map[desired.ServiceKey]time.Duration{}, leaving: leaving{}}
	if path == "" {
		return o, nil
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return o, nil
	}
	if err != nil {
		return o, fmt.Errorf("read the list of own services: %w", err)
	}
	var f ownedFile
	if err := json.Unmarshal(b, &f); err != nil {
		return o, fmt.Errorf("read the list of own services in %s: %w", path, err)
	}
	for _, k := range f.Services {
		o.keys[desired.ServiceKey{Address: k.Address, Protocol: k.Protocol, Mark: k.Mark}] = k.Drain
	}
	for _, l := range f.Leaving {
		o.leaving[endpoint{desired.ServiceKey{Address: l.Address, Protocol: l.Protocol, Mark: l.Mark}, l.Server}] = l.Until
	}
	o.before, o.syncs = f.Timeouts, f.Syncs
	return o, nil
}

// set replaces what is remembered. It writes to the disk only what is new there, and then all or nothing.
func (o *owned) set(keys map[desired.ServiceKey]time.Duration) error {
	if maps.Equal(o.keys, keys) {
		return nil
	}
	o.keys = keys
	return o.save()
}

// setBefore remembers the time-outs that the system had before ours; nil for none.
func (o *owned) setBefore(before *desired.Timeouts) error {
	o.before = before
	return o.save()
}

// setSyncs remembers which daemons are ours. It writes to the disk only what is new there.
func (o *owned) setSyncs(roles []desired.SyncRole) error {
	if slices.Equal(roles, o.syncs) {
		return nil
	}
	o.syncs = roles
	return o.save()
}

// setLeaving remembers which real servers leave. It writes to the disk only what is new there.
func (o *owned) setLeaving(all leaving) error {
	if maps.EqualFunc(all, o.leaving, time.Time.Equal) {
		return nil
	}
	o.leaving = maps.Clone(all)
	return o.save()
}

func sortedRoles(roles map[desired.SyncRole]bool) []desired.SyncRole {
	return slices.Sorted(maps.Keys(roles))
}

func (o *owned) save() error {
	if o.path == "" {
		return nil
	}
	f := ownedFile{Version: 1, Services: []ownedEntry{}, Timeouts: o.before, Syncs: o.syncs}
	for _, k := range slices.SortedFunc(maps.Keys(o.keys), desired.ServiceKey.Compare) {
		f.Services = append(f.Services, ownedEntry{k.Address, k.Protocol, k.Mark, o.keys[k]})
	}
	for _, l := range o.leaving.sorted() {
		f.Leaving = append(f.Leaving, ownedLeaving{l.Service.Address, l.Service.Protocol, l.Service.Mark, l.Server, l.Until.Round(0)})
	}
	b, err := json.MarshalIndent(f, "", "\t")
	if err != nil {
		return fmt.Errorf("write the list of own services: %w", err)
	}
	if err := writeFile(o.path, append(b, '\n')); err != nil {
		return fmt.Errorf("write the list of own services: %w", err)
	}
	return nil
}

// writeFile replaces a file so that a reader, or a crash, sees the old one or the new one.
func writeFile(path string, b []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
