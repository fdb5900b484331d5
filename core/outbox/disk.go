package outbox

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/vipward/vipward/core/event"
)

const (
	// maxJournal bounds the file. A thousand events for each of a handful of notifiers take much less.
	maxJournal = 64 << 20
	// growth is how much larger than what is open the journal may be, and slack how large at least, before it is written anew.
	growth = 4
	slack  = 1 << 20
	// maxPending is how much may wait for the disk. Of more, nothing is kept but that the journal is to be written anew.
	maxPending = 4 << 20
	// diskPause is how long to wait after the disk has refused.
	diskPause = 10 * time.Second
	// unfinished is what a new journal is called at the end, until it is whole.
	unfinished = ".new-"
	// writeLimit is how long the end of the daemon waits for the disk.
	writeLimit = 3 * time.Second
)

// disk is what the writer of the journal and the outbox share. The outbox's lock guards pending, whole and failed; the rest is
// the writer's own.
type disk struct {
	path string
	wake chan struct{} // there is something to write

	pending []byte // records that are not in the file
	whole   bool   // the file lacks more than these: it is to be written anew
	failed  bool   // the disk refuses

	file *os.File
	size int64
	most int64 // the size at which the file is written anew
}

// record hands a record to the writer of the journal. The caller holds the lock.
func (o *Outbox) record(l line) {
	d := &o.disk
	if d.path == "" || l == (line{}) || d.whole {
		return
	}
	d.pending = append(d.pending, l.encode()...)
	if len(d.pending) > maxPending {
		d.pending, d.whole = nil, true
	}
	signal(d.wake)
}

// Unsaved tells whether there is a journal that cannot be written, so that a crash would lose what waits.
func (o *Outbox) Unsaved() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.disk.failed
}

// Restore reads the journal of the run before, for the first [Outbox.Set] and before [Outbox.Run]. seq is the highest sequence
// number that an event had. A journal that is damaged is told of and set aside; what can be read of it counts.
func (o *Outbox) Restore() (seq uint64) {
	if o.Journal == "" {
		return 0
	}
	removeUnfinished(o.Journal)
	text, err := readJournal(o.Journal)
	s, damage := replay(text)
	if err = cmp.Or(err, damage); err != nil {
		aside := fmt.Sprintf("%s.damaged-%d", o.Journal, time.Now().Unix())
		reason := fmt.Sprintf("%s is damaged, so some notifications may be lost; it is kept as %s, and what can be read of it is delivered: %v",
			o.Journal, aside, err)
		if err := os.Rename(o.Journal, aside); err != nil {
			reason += fmt.Sprintf(" (and it cannot be renamed: %v)", err)
		}
		o.Event(event.Event{Code: "outbox.damaged", Severity: event.Warning, Kind: event.Daemon, Subject: "outbox", Reason: reason})
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.restored, o.last, o.seq = s.open, s.last, s.seq
	o.disk.whole = true // the writer begins with a file of its own
	signal(o.disk.wake)
	for name, items := range s.open {
		if len(items) > 0 {
			o.Logger.Info("notifications of the run before are still to be delivered", "notifier", name, "events", len(items))
		}
	}
	return s.seq
}

// removeUnfinished removes what a run has left that was killed while it wrote a new journal.
func removeUnfinished(path string) {
	files, _ := filepath.Glob(path + unfinished + "*") // the pattern is good
	for _, f := range files {
		_ = os.Remove(f) // it is in nobody's way
	}
}

func readJournal(path string) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxJournal+1))
	if err == nil && len(text) > maxJournal {
		err = fmt.Errorf("it is larger than %d MiB", maxJournal>>20)
	}
	return text, err
}

// keep writes the journal until stop is closed and all is written.
func (o *Outbox) keep(stop <-chan struct{}) {
	d := &o.disk
	if d.path == "" {
		return
	}
	defer func() {
		if d.file != nil {
			_ = d.file.Close() // it has been synced
		}
	}()
	for {
		select {
		case <-d.wake:
			if o.write() != nil {
				d.pause(stop)
				signal(d.wake) // again
			}
		case <-stop:
			_ = o.write() // told of
			return
		}
	}
}

// pause waits after a failure, but not for the end of the daemon.
func (d *disk) pause(stop <-chan struct{}) {
	t := time.NewTimer(diskPause)
	defer t.Stop()
	select {
	case <-t.C:
	case <-stop:
	}
}

// write brings the file to where the outbox is. The lock is held only to see what there is to write.
func (o *Outbox) write() error {
	d := &o.disk
	o.mu.Lock()
	text, whole := d.pending, d.whole || d.file == nil || d.size > d.most
	var all []byte
	if whole {
		all = o.snapshot()
	}
	d.pending, d.whole = nil, false
	o.mu.Unlock()
	var err error
	switch {
	case whole:
		err = d.replace(all)
	case len(text) > 0:
		err = d.append(text)
	}
	o.written(err)
	return err
}

// written takes note of how it went, and tells where that changed.
func (o *Outbox) written(err error) {
	o.mu.Lock()
	before := o.disk.failed
	o.disk.failed = err != nil
	if err != nil {
		o.disk.whole = true
	}
	o.mu.Unlock()
	switch {
	case err != nil && !before:
		o.Event(event.Event{
			Code: "outbox.unsaved", Severity: event.Warning, Kind: event.Daemon, Subject: "outbox",
			Reason: fmt.Sprintf("notifications are delivered, but those that wait would not survive a crash: %v; tried again every %s", err, diskPause),
		})
	case err == nil && before:
		o.Event(event.Event{
			Code: "outbox.saved", Severity: event.Info, Kind: event.Daemon, Subject: "outbox", Reason: "notifications that wait are kept on the disk again",
		})
	}
}

// snapshot is a whole journal of what is open. The caller holds the lock.
func (o *Outbox) snapshot() []byte {
	type open struct {
		*item
		to []string
	}
	all := map[uint64]*open{}
	note := func(name string, items []*item) {
		for _, it := range items {
			if all[it.id] == nil {
				all[it.id] = &open{item: it}
			}
			all[it.id].to = append(all[it.id].to, name)
		}
	}
	for name, q := range o.queues {
		note(name, q.items())
	}
	for name, items := range o.restored {
		note(name, items)
	}
	out := line{Start: &heading{1, o.last, o.seq}}.encode()
	sorted := make([]*open, 0, len(all))
	for _, a := range all {
		slices.Sort(a.to)
		sorted = append(sorted, a)
	}
	slices.SortFunc(sorted, func(a, b *open) int { return cmp.Compare(a.id, b.id) })
	for _, a := range sorted {
		out = append(out, added(a.item, a.to).encode()...)
	}
	return out
}

// append adds records to the file and waits until the disk has them.
func (d *disk) append(text []byte) error {
	n, err := d.file.Write(text)
	d.size += int64(n)
	if err == nil {
		err = d.file.Sync()
	}
	return err
}

// replace puts a new file in the place of the old one, at once or not at all.
func (d *disk) replace(text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(d.path), filepath.Base(d.path)+unfinished)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, bytes.NewReader(text))
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(f.Name(), d.path)
	}
	if err != nil {
		_ = f.Close()
		_ = os.Remove(f.Name())
		return err
	}
	if d.file != nil {
		_ = d.file.Close() // it is no longer the journal
	}
	d.file, d.size = f, int64(len(text))
	d.most = min(max(slack, growth*d.size), maxJournal)
	return syncFolder(d.path)
}

// syncFolder makes the disk keep the name of a file.
func syncFolder(path string) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
