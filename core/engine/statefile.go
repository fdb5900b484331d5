package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// stateVersion is that of every file of the state directory.
const stateVersion = 1

// readState reads a file of the state directory, at most so many bytes of it; version is the field of file that has its version. Where
// there is no file, nothing is read.
func readState(path string, most int64, file any, version *int) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if err := json.NewDecoder(io.LimitReader(f, most)).Decode(file); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	if *version != stateVersion {
		return fmt.Errorf("read %s: its version is %d, not %d", path, *version, stateVersion)
	}
	return nil
}

// writeState replaces a file of the state directory, so that a reader sees the old one or the new one; with durable it outlives a crash
// of the machine, too. What could not be read again is not written.
func writeState(path string, most int, file any, durable bool) error {
	text, err := json.Marshal(file)
	if err != nil {
		return err
	}
	if len(text) > most {
		return fmt.Errorf("write %s: %d bytes are more than %d", path, len(text), most)
	}
	return replaceFile(path, append(text, '\n'), durable)
}

// replaceFile writes a file so that a reader sees the old one or the new one; with durable it outlives a crash of the machine, too.
func replaceFile(path string, text []byte, durable bool) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	_, err = f.Write(text)
	if durable {
		err = errors.Join(err, f.Sync())
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
