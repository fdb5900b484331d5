// Package mail is the notifier "mail": one mail by SMTP for a burst of events. It hands the mail to a server that takes it on, and is
// no mail server itself: it looks up no MX records.
package mail

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/access"
	"github.com/vipward/vipward/sdk/message"
)

// Component is the notifier for [sdk.Serve].
func Component() sdk.Component {
	return sdk.Notifier("mail", notify, sdk.Summary("sends one mail for a burst of events, by SMTP"))
}

// notify sends one mail to those recipients that an attempt before has not reached.
func notify(ctx context.Context, events []sdk.Event, c Config) error {
	s := c.session
	s.mu.Lock()
	defer s.mu.Unlock()
	to := s.remaining(sdk.DeliveryOf(ctx).Key, c.To)
	subject, body, err := s.words(events)
	if err != nil {
		return sdk.Drop(err)
	}
	began := time.Now()
	err = s.deliver(ctx, c, to, letter{subject: subject, body: body, id: messageID(ctx, events), events: events})
	log := sdk.Logger(ctx).With("server", c.Server, "recipients", len(to), "events", len(events), "attempt", sdk.DeliveryOf(ctx).Attempt,
		"message_id", messageID(ctx, events), "took", time.Since(began).Round(time.Millisecond))
	if err != nil {
		log.Warn("mail not delivered", "error", err)
		return err
	}
	log.Info("mail delivered", "subject", subject)
	return nil
}

// deliver sends a letter to all at once. Where the server refuses a recipient each one gets it alone, so that one address that has
// gone keeps nobody else from being told.
func (s *session) deliver(ctx context.Context, c Config, to []string, l letter) error {
	err := s.send(ctx, c, to, l)
	if err == nil || len(to) == 1 || !refusesRecipient(err) {
		if err == nil {
			s.reach(to...)
		}
		return verdict(err)
	}
	var refused, later []error
	for _, one := range to {
		if ctx.Err() != nil {
			later = append(later, ctx.Err())
			break
		}
		err := verdict(s.send(ctx, c, []string{one}, l))
		switch {
		case err == nil:
			s.reach(one)
		case sdk.Dropped(err):
			s.reach(one) // as far as that is possible
			refused = append(refused, err)
			sdk.Logger(ctx).Warn("a recipient is refused for good", "recipient", one, "error", err)
		default:
			later = append(later, err)
		}
	}
	switch {
	case len(later) > 0:
		return errors.Join(later...)
	case len(refused) == len(to):
		return sdk.Drop(errors.Join(refused...))
	}
	return nil
}

// letter is a mail without its recipients.
type letter struct {
	subject, body, id string
	events            []sdk.Event
}

// send makes one connection and sends one mail.
func (s *session) send(ctx context.Context, c Config, to []string, l letter) error {
	m := gomail.NewMsg()
	if err := errors.Join(m.From(c.From), m.To(to...)); err != nil {
		return sdk.Drop(err)
	}
	m.Subject(l.subject)
	m.SetBodyString(gomail.TypeTextPlain, l.body)
	m.SetDate()
	m.SetUserAgent("vipward")
	m.SetMessageIDWithValue(l.id)
	m.SetGenHeader("Auto-Submitted", "auto-generated")
	m.SetGenHeader("X-Vipward-Events", fmt.Sprint(len(l.events)))
	if message.Severity(l.events) == "critical" {
		m.SetImportance(gomail.ImportanceHigh)
	}
	password, err := access.Password(c.Password, c.PasswordFile)
	if err != nil {
		return err
	}
	client, err := gomail.NewClient(s.host, append(slices.Clone(s.options), gomail.WithPassword(password))...)
	if err != nil {
		return err
	}
	if err := client.DialAndSendWithContext(ctx, m); err != nil {
		return fmt.Errorf("mail to %s: %w", c.Server, err)
	}
	return nil
}

// verdict tells an error that another attempt cannot help from others: the server says so by a status of 500 and more, about the
// sender, a recipient or the message. A login that is refused is somebody's mistake that will be mended.
func verdict(err error) error {
	var s *gomail.SendError
	if errors.As(err, &s) && s.ErrorCode() >= 500 && s.ErrorCode() < 600 {
		return sdk.Drop(err)
	}
	return err
}

func refusesRecipient(err error) bool {
	var s *gomail.SendError
	return errors.As(err, &s) && s.Reason == gomail.ErrSMTPRcptTo
}

// messageID is the same for every attempt, so that a reader can tell a mail that came twice.
func messageID(ctx context.Context, events []sdk.Event) string {
	key := sdk.DeliveryOf(ctx).Key
	if key == "" {
		key = fmt.Sprint(events)
	}
	return fmt.Sprintf("%x@vipward.invalid", sha256.Sum256([]byte(key)))
}
