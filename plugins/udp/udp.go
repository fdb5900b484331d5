// Package udp is the checker "udp": one datagram, and either a reply that is as expected, or no ICMP error for a while. It is not
// for protocols with a checker of their own, as dns.
package udp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/access"
)

// maxPayload is the longest that a datagram of IPv4 can carry, in bytes.
const maxPayload = 65507

// Config is the block of the checker.
type Config struct {
	Port         uint16        `vipward:"port" min:"1" doc:"Port to send to. Default: the target's own."`
	Address      string        `vipward:"address" doc:"Where to send for a check of the node itself: HOST:PORT."`
	Payload      string        `vipward:"payload" doc:"Text to send. Default: an empty datagram."`
	PayloadHex   string        `vipward:"payload_hex" doc:"Bytes to send, in hex, as \"0a 1b2c\"."`
	RequireReply bool          `vipward:"require_reply" doc:"There must be a reply, whatever it says."`
	Reply        string        `vipward:"reply" doc:"Text that the reply must begin with."`
	ReplyHex     string        `vipward:"reply_hex" doc:"Bytes that the reply must begin with, in hex; an x stands for any digit."`
	MinLength    int           `vipward:"min_length" min:"1" max:"65507" doc:"Bytes that the reply must have at least. Default: as many as reply or reply_hex has. Where it is less, that much is compared."`
	MaxLength    int           `vipward:"max_length" min:"1" max:"65507" doc:"Bytes that the reply may have at most. Default: any number."`
	Wait         time.Duration `vipward:"wait" min:"1ms" doc:"How long to wait for an ICMP error, where no reply is needed. Default: most of the timeout."`

	payload []byte
	reply   pattern
}

// Component is the checker for [sdk.Serve].
func Component() sdk.Component { return sdk.Checker("udp", check, summary()) }

func summary() sdk.Option {
	return sdk.Summary("sends a datagram; wants a reply that is as expected, or no ICMP error")
}

// Validate reports what the tags cannot.
func (c *Config) Validate() error {
	var errs []error
	wrong := func(is bool, attribute, format string, args ...any) {
		if is {
			errs = append(errs, sdk.PathError(fmt.Errorf(format, args...), attribute))
		}
	}
	wrong(strings.HasPrefix(c.Address, "/"), "address", "UDP has no socket by path")
	errs = append(errs, sdk.PathError(access.CheckAddress(c.Address), "address"))
	wrong(c.Payload != "" && c.PayloadHex != "", "payload_hex", "payload and payload_hex exclude each other")
	wrong(c.Reply != "" && c.ReplyHex != "", "reply_hex", "reply and reply_hex exclude each other")
	payload, reply, err := c.work()
	errs = append(errs, err)
	wrong(len(payload) > maxPayload, "payload", "%d bytes are more than a datagram carries, which is %d", len(payload), maxPayload)
	wrong(c.MaxLength > 0 && c.MinLength > c.MaxLength, "min_length", "%d is more than max_length, which is %d", c.MinLength, c.MaxLength)
	wrong(c.MaxLength > 0 && c.MinLength == 0 && len(reply) > c.MaxLength, "max_length", "the reply that is expected is longer: it has %d bytes", len(reply))
	wrong(c.Wait > 0 && c.needsReply(), "wait", "it is for a check without a reply: the reply is waited for until the timeout")
	return errors.Join(errs...)
}

// Open works out what is sent and expected.
func (c *Config) Open(context.Context) error {
	var err error
	c.payload, c.reply, err = c.work()
	return err
}

// work reads the bytes of payload and reply.
func (c *Config) work() (payload []byte, reply pattern, err error) {
	payload, reply = []byte(c.Payload), literal(c.Reply)
	var errs []error
	if c.PayloadHex != "" {
		p, err := parseHex(c.PayloadHex)
		if err == nil && p.wild() {
			err = errors.New("an x stands for any digit: that is for what is expected, not for what is sent")
		}
		payload = p.bytes()
		errs = append(errs, sdk.PathError(err, "payload_hex"))
	}
	if c.ReplyHex != "" {
		reply, err = parseHex(c.ReplyHex)
		errs = append(errs, sdk.PathError(err, "reply_hex"))
	}
	return payload, reply, errors.Join(errs...)
}

// needsReply tells whether silence is a failure.
func (c *Config) needsReply() bool {
	return c.RequireReply || c.Reply != "" || c.ReplyHex != "" || c.MinLength > 0 || c.MaxLength > 0
}

func check(ctx context.Context, t sdk.Target, c Config) sdk.Result {
	place, err := access.PlaceOf(t, c.Address, c.Port, 0)
	if err == nil && strings.HasSuffix(place.Address, ":0") {
		err = errors.New("the target has no port: set port")
	}
	if err != nil {
		return sdk.Errorf("%v", err)
	}
	conn, err := t.DialContext(ctx, "udp", place.Address)
	if errors.As(err, new(*net.DNSError)) {
		return access.Unreachable(err)
	}
	if err != nil {
		return verdict(err)
	}
	defer conn.Close()
	return c.talk(ctx, conn)
}

// talk sends the payload and waits for the reply, or for an error.
func (c *Config) talk(ctx context.Context, conn net.Conn) sdk.Result {
	began := time.Now()
	if !c.needsReply() {
		_ = conn.SetReadDeadline(c.until(ctx, began)) // a connection that takes none is broken, which its use will show
	}
	if _, err := conn.Write(c.payload); err != nil {
		return verdict(err)
	}
	buf := make([]byte, max(2048, c.MinLength, c.MaxLength, len(c.reply))+1)
	n, err := conn.Read(buf)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded) && !c.needsReply():
		return sdk.Pass()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return sdk.Failf("no reply in time")
	case err != nil:
		return verdict(err)
	}
	result := sdk.Pass()
	if why := c.judge(buf[:n]); why != "" {
		result = sdk.Failf("%s", why)
	}
	return result.Value("reply_bytes", float64(n)).Value("reply_seconds", time.Since(began).Seconds())
}

// until is when silence is enough: a little before the run must be over.
func (c *Config) until(ctx context.Context, now time.Time) time.Time {
	end, ok := ctx.Deadline()
	if !ok {
		end = now.Add(time.Second)
	}
	left := end.Sub(now)
	quiet := left - min(left/10, 250*time.Millisecond)
	if c.Wait > 0 {
		quiet = min(quiet, c.Wait)
	}
	return now.Add(quiet)
}

// verdict is the result of an error of the socket.
func verdict(err error) sdk.Result {
	switch words := access.Words(err); {
	case sdk.Local(err):
		return sdk.Errorf("%s", words)
	default:
		return sdk.Failf("%s", words)
	}
}

// judge says what is wrong with a reply; nothing when all is well.
func (c *Config) judge(reply []byte) string {
	least := c.MinLength
	if least == 0 {
		least = len(c.reply)
	}
	switch n := len(reply); {
	case n < least:
		return fmt.Sprintf("the reply %s has %s, want at least %d", excerpt(reply), bytes(n), least)
	case c.MaxLength > 0 && n > c.MaxLength:
		return fmt.Sprintf("the reply %s has more than %s", excerpt(reply), bytes(c.MaxLength))
	case !c.reply.matches(reply):
		return fmt.Sprintf("the reply %s does not begin with %s", excerpt(reply), c.reply)
	}
	return ""
}

func bytes(n int) string {
	if n == 1 {
		return "1 byte"
	}
	return fmt.Sprintf("%d bytes", n)
}
