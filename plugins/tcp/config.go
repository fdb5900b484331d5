package tcp

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/tlsclient"
)

// Config is the block of the checker.
type Config struct {
	Send      string             `vipward:"send" doc:"Text to send after connecting."`
	SendHex   string             `vipward:"send_hex" pattern:"([0-9a-fA-F]{2}[ :]?)*" doc:"Bytes to send instead of a text, in hex: \"01 0a ff\"."`
	HalfClose bool               `vipward:"half_close" doc:"Close the connection in our direction after sending, as a client that has no more to ask."`
	Expect    string             `vipward:"expect" doc:"Text that must be part of the answer."`
	ExpectHex string             `vipward:"expect_hex" pattern:"([0-9a-fA-F]{2}[ :]?)*" doc:"Bytes that must be part of the answer, in hex."`
	ExpectRE  string             `vipward:"expect_regexp" doc:"Regular expression (RE2) that must match the answer."`
	Stay      time.Duration      `vipward:"stay" min:"0s" doc:"Time for which the target must keep the connection open. Below the timeout; default: it need not."`
	TLS       *tlsclient.Checked `vipward:"tls,block" doc:"Speak TLS after connecting."`

	state *opened
}

// opened is what a configuration means, worked out once.
type opened struct {
	send []byte
	want *expectation // nil for any answer, or none
	tls  *tls.Config  // nil without TLS
}

// expectation is what an answer must have, with its words for a reason.
type expectation struct {
	met   func(answer []byte) bool
	words string
}

// Validate reports what the attributes do not allow together.
func (c *Config) Validate() error {
	var errs []error
	if c.Send != "" && c.SendHex != "" {
		errs = append(errs, sdk.PathError(errors.New("send and send_hex exclude each other"), "send_hex"))
	}
	first := ""
	for _, e := range []struct{ name, value string }{{"expect", c.Expect}, {"expect_hex", c.ExpectHex}, {"expect_regexp", c.ExpectRE}} {
		switch {
		case e.value == "":
		case first != "":
			errs = append(errs, sdk.PathError(fmt.Errorf("%s and %s exclude each other", first, e.name), e.name))
		default:
			first = e.name
		}
	}
	if first != "" && c.Stay > 0 {
		errs = append(errs, sdk.PathError(fmt.Errorf("stay and %s exclude each other", first), "stay"))
	}
	_, err := regexp.Compile(c.ExpectRE)
	if err != nil {
		err = fmt.Errorf("no regular expression: %w", err)
	}
	return errors.Join(append(errs, sdk.PathError(err, "expect_regexp"), c.TLS.Validate("tls"))...)
}

// Open works out what the runs need, and reads the certificates.
func (c *Config) Open(context.Context) error {
	o := &opened{send: []byte(c.Send), want: c.expectation()}
	if c.SendHex != "" {
		o.send = unhex(c.SendHex)
	}
	if c.TLS != nil {
		config, err := c.TLS.Config()
		if err != nil {
			return err
		}
		o.tls = config
	}
	c.state = o
	return nil
}

func (c *Config) expectation() *expectation {
	part := func(want []byte) func([]byte) bool {
		return func(answer []byte) bool { return bytes.Contains(answer, want) }
	}
	switch {
	case c.Expect != "":
		return &expectation{part([]byte(c.Expect)), strconv.Quote(c.Expect)}
	case c.ExpectHex != "":
		want := unhex(c.ExpectHex)
		return &expectation{part(want), hex.EncodeToString(want)}
	case c.ExpectRE != "":
		return &expectation{regexp.MustCompile(c.ExpectRE).Match, c.ExpectRE} // Validate compiled it
	}
	return nil
}

// unhex is the bytes that the pattern of an attribute has let through.
func unhex(s string) []byte {
	b, _ := hex.DecodeString(strings.NewReplacer(" ", "", ":", "").Replace(s))
	return b
}
