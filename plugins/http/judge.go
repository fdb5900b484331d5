package http

import (
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"regexp"
	"slices"
)

// judge reads a response and says what is wrong with it; nothing when all is well. Of the body at most most bytes are read.
func (a *ask) judge(r *http.Response, most int) string {
	inRange := func(s statusRange) bool { return s.from <= r.StatusCode && r.StatusCode <= s.to }
	if !slices.ContainsFunc(a.status, inRange) {
		return fmt.Sprintf("status %d, want %s", r.StatusCode, a.statusWords)
	}
	body := &body{}
	if a.digest != "" {
		body.hash = a.hash()
	}
	body.keep = a.body != nil || a.absent != nil || a.json != nil
	switch err := body.read(r.Body, most); {
	case errors.Is(err, errLong) && (body.keep || body.hash != nil):
		return fmt.Sprintf("the body is longer than %d bytes", most)
	case err != nil && !errors.Is(err, errLong):
		return fmt.Sprintf("the body broke off after %d bytes: %s", body.size, words(err, "no more came in time"))
	}
	return a.judgeBody(body)
}

func (a *ask) judgeBody(b *body) string {
	if a.digest != "" {
		if got := hex.EncodeToString(b.hash.Sum(nil)); got != a.digest {
			return fmt.Sprintf("digest %s, want %s", got, a.digest)
		}
	}
	switch {
	case a.body != nil && !a.matches(a.body, b.kept):
		return fmt.Sprintf("the body does not match %s", a.body)
	case a.absent != nil && a.matches(a.absent, b.kept):
		return fmt.Sprintf("the body matches %s", a.absent)
	case a.json != nil:
		return judgeJSON(b.kept, a.json)
	}
	return ""
}

// matches looks for an expression between the offsets. The first match is the one that begins first.
func (a *ask) matches(re *regexp.Regexp, body []byte) bool {
	if a.from > len(body) {
		return false
	}
	at := re.FindIndex(body[a.from:])
	return at != nil && a.from+at[0] <= a.to
}

// body is what is needed of a body.
type body struct {
	hash hash.Hash // nil for none
	keep bool
	kept []byte
	size int // bytes that were read
}

// errLong says that a body goes on after as much as is read of it.
var errLong = errors.New("the body is too long")

// read reads to the end, or to one byte more than most, so that a body which breaks off is noticed even if nobody compares it.
func (b *body) read(r io.Reader, most int) error {
	buf := make([]byte, 4<<10)
	for b.size <= most {
		n, err := r.Read(buf)
		b.size += n
		if b.hash != nil {
			b.hash.Write(buf[:n])
		}
		if b.keep {
			b.kept = append(b.kept, buf[:n]...)
		}
		if errors.Is(err, io.EOF) && b.size <= most {
			return nil
		}
		if err != nil && b.size <= most {
			return err
		}
	}
	return errLong
}
