package http

import (
	"crypto/md5" // compares content with a digest that keepalived's configurations carry
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/vipward/vipward/sdk"
)

// ask is one request with what its response is compared with.
type ask struct {
	method, path, host string
	header             http.Header
	payload            []byte

	status       []statusRange
	statusWords  string
	digest       string // lower case; empty for any
	hash         func() hash.Hash
	body, absent *regexp.Regexp
	from, to     int // offsets of the body at which a match may begin
	json         []jsonValue
}

// ask works out one request.
func (c *Config) ask(r Request) (ask, error) {
	a := ask{
		method: or(r.Method, c.Method), path: r.Path, host: or(r.Host, c.Host), payload: []byte(r.Payload),
		digest: strings.ToLower(r.Digest), from: r.MinOffset, to: math.MaxInt,
	}
	if r.MaxOffset > 0 {
		a.to = r.MaxOffset
	}
	status := r.Status
	if status == nil {
		status = c.Status
	}
	a.statusWords = strings.Join(status, ", ")
	var errs []error
	add := func(err error, path ...any) { errs = append(errs, sdk.PathError(err, path...)) }
	if len(status) == 0 {
		add(errors.New("no status would pass"), "status")
	}
	for i, s := range status {
		codes, err := parseStatus(s)
		add(err, "status", i)
		a.status = append(a.status, codes)
	}
	var err error
	a.header, err = headers(c.Headers, r.Headers)
	add(err, "headers")
	a.body, err = expression(r.Body)
	add(err, "body")
	a.absent, err = expression(r.BodyAbsent)
	add(err, "body_absent")
	a.json, err = jsonValues(r.JSON)
	add(err, "json")
	a.hash, err = algorithm(r.Digest, r.Algorithm)
	add(err, "digest")
	if a.to < a.from {
		add(fmt.Errorf("a match cannot begin after body_min_offset, %d, and before %d", a.from, a.to), "body_max_offset")
	}
	if r.Path != "" {
		if _, err := url.ParseRequestURI(r.Path); err != nil || !strings.HasPrefix(r.Path, "/") {
			add(fmt.Errorf(`%q is no path: it begins with "/"`, r.Path), "path")
		}
	}
	return a, errors.Join(errs...)
}

func or(s, otherwise string) string {
	if s != "" {
		return s
	}
	return otherwise
}

// headers joins headers, of which the later ones count. It refuses what would end a header and begin another.
func headers(all ...map[string]string) (http.Header, error) {
	h := http.Header{}
	for _, some := range all {
		for name, value := range some {
			if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
				return nil, fmt.Errorf("%q is no header", name)
			}
			h.Set(name, value)
		}
	}
	return h, nil
}

// expression compiles a regular expression; nil for none.
func expression(s string) (*regexp.Regexp, error) {
	if s == "" {
		return nil, nil
	}
	re, err := regexp.Compile(s)
	if err != nil {
		return nil, fmt.Errorf("no regular expression: %w", err)
	}
	return re, nil
}

// algorithm is the one by its name, or the one that the length of the digest tells.
func algorithm(digest, name string) (func() hash.Hash, error) {
	if name == "" {
		name = "md5"
		if len(digest) == hex.EncodedLen(sha256.Size) {
			name = "sha256"
		}
	}
	h := map[string]func() hash.Hash{"md5": md5.New, "sha256": sha256.New}[name]
	if length := hex.EncodedLen(h().Size()); digest != "" && len(digest) != length {
		return h, fmt.Errorf("a digest by %s has %d digits, this has %d", name, length, len(digest))
	}
	return h, nil
}

// statusRange is a range of status codes, both ends included.
type statusRange struct{ from, to int }

func parseStatus(s string) (statusRange, error) {
	first, last, isRange := strings.Cut(s, "-")
	if !isRange {
		last = first
	}
	from, err1 := strconv.Atoi(strings.TrimSpace(first))
	to, err2 := strconv.Atoi(strings.TrimSpace(last))
	switch {
	case err1 != nil || err2 != nil:
		return statusRange{}, fmt.Errorf(`%q is no status: write a code as 200, or a range as "200-299"`, s)
	case from < 100 || to > 599:
		return statusRange{}, fmt.Errorf("status %s out of range: codes are 100 to 599", s)
	case from > to:
		return statusRange{}, fmt.Errorf("status %s is empty: %d is more than %d", s, from, to)
	}
	return statusRange{from, to}, nil
}
