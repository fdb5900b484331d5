package outbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
)

// The journal is a file of lines, each the CRC-32 of a record in hexadecimal, a space, and the record as JSON. It begins with a
// start. Records are appended in the order in which things happened; a new file with what is still open replaces one that has
// grown.

// line is one record: one of its fields is set.
type line struct {
	Start *heading  `json:"start,omitempty"`
	Add   *addition `json:"add,omitempty"`
	Done  *settled  `json:"done,omitempty"`
}

// heading begins a journal. Last and Seq are the highest numbers of an item and of an event so far.
type heading struct {
	Version int    `json:"version"` // 1
	Last    uint64 `json:"last"`
	Seq     uint64 `json:"seq"`
}

// addition is an event that waits for some notifiers.
type addition struct {
	ID    uint64          `json:"id"`
	To    []string        `json:"to"`
	Event json.RawMessage `json:"event"`
}

// settled is that nothing more is to be done about some items for a notifier.
type settled struct {
	IDs []uint64 `json:"ids"`
	For string   `json:"for"`
}

func added(it *item, to []string) line { return line{Add: &addition{it.id, to, it.text}} }

func done(name string, items []*item) line {
	if len(items) == 0 {
		return line{}
	}
	d := &settled{For: name}
	for _, it := range items {
		d.IDs = append(d.IDs, it.id)
	}
	return line{Done: d}
}

// encode is a record as it is written.
func (l line) encode() []byte {
	text, err := json.Marshal(l)
	if err != nil {
		return nil // its parts have been JSON before
	}
	return fmt.Appendf(nil, "%08x %s\n", crc32.ChecksumIEEE(text), text)
}

// decodeLine reads a record, without its end of line.
func decodeLine(raw []byte) (line, error) {
	sum, text, ok := bytes.Cut(raw, []byte(" "))
	if !ok || fmt.Sprintf("%08x", crc32.ChecksumIEEE(text)) != string(sum) {
		return line{}, errors.New("its checksum is wrong")
	}
	var l line
	if err := json.Unmarshal(text, &l); err != nil {
		return line{}, err
	}
	if l.Start != nil && l.Start.Version != 1 {
		return line{}, fmt.Errorf("its version is %d, not 1", l.Start.Version)
	}
	return l, nil
}

// state is what a journal says is still to be done.
type state struct {
	open map[string][]*item // by notifier, the oldest first
	last uint64
	seq  uint64
}

// replay reads a journal. What stands after a line that cannot be read is taken as well. damage says what is wrong with which
// line; an unfinished last line is no damage: the daemon was killed while it wrote.
func replay(text []byte) (s state, damage error) {
	s.open = map[string][]*item{}
	for n := 1; len(text) > 0; n++ {
		raw, rest, whole := bytes.Cut(text, []byte("\n"))
		text = rest
		if !whole {
			break
		}
		l, err := decodeLine(raw)
		if err == nil {
			err = s.apply(l)
		}
		if err != nil && damage == nil {
			damage = fmt.Errorf("line %d: %w", n, err)
		}
	}
	return s, damage
}

func (s *state) apply(l line) error {
	switch {
	case l.Start != nil:
		s.last, s.seq = max(s.last, l.Start.Last), max(s.seq, l.Start.Seq)
	case l.Add != nil:
		it := &item{id: l.Add.ID, text: l.Add.Event}
		if err := json.Unmarshal(l.Add.Event, &it.event); err != nil {
			return err
		}
		s.last, s.seq = max(s.last, it.id), max(s.seq, it.event.Seq)
		for _, name := range l.Add.To {
			s.open[name] = append(s.open[name], it)
		}
	case l.Done != nil:
		s.open[l.Done.For] = slices.DeleteFunc(s.open[l.Done.For], func(it *item) bool { return slices.Contains(l.Done.IDs, it.id) })
	}
	return nil
}
