package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"text/template"
	"time"

	"github.com/nicholas-fedor/shoutrrr"
	"github.com/nicholas-fedor/shoutrrr/pkg/router"
	"github.com/nicholas-fedor/shoutrrr/pkg/types"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/message"
)

// Config is the block.
type Config struct {
	URLs    []sdk.Secret  `vipward:"urls,required" doc:"Services to tell, as SERVICE://…; see the documentation of shoutrrr."`
	Title   string        `vipward:"title" default:"{{.Title}}" doc:"Template of the title, for services that have one."`
	Body    string        `vipward:"body" default:"{{.Text}}" doc:"Template of the message."`
	Batch   time.Duration `vipward:"batch" default:"2s" min:"0s" max:"1h" doc:"How long to wait for more events, to send them in one message. A critical event is not held back."`
	Timeout time.Duration `vipward:"timeout" default:"10s" min:"100ms" max:"25s" doc:"Deadline of all services together."`

	session *session
}

// Validate refuses what can never work. Nothing goes over the network.
func (c *Config) Validate() error {
	var errs []error
	if len(c.URLs) == 0 {
		errs = append(errs, sdk.PathError(errors.New("nobody would be told: write at least one"), "urls"))
	}
	for i, u := range c.URLs {
		errs = append(errs, sdk.PathError(validate(string(u)), "urls", i))
	}
	for name, text := range map[string]string{"title": c.Title, "body": c.Body} {
		if _, err := message.Parse(text); err != nil {
			errs = append(errs, sdk.PathError(fmt.Errorf("no template: %w", err), name))
		}
	}
	return errors.Join(errs...)
}

// validate reads a URL as its service does. That of Matrix would log in.
func validate(text string) error {
	if !strings.Contains(text, "://") {
		return errors.New("no URL: write SERVICE://…")
	}
	if strings.HasPrefix(text, "matrix:") {
		if u, err := url.Parse(text); err != nil || u.Host == "" {
			return errors.New("no URL: write matrix://USER:PASSWORD@HOST/")
		}
		return nil
	}
	_, err := shoutrrr.CreateSender(text)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, router.ErrUnknownService):
		scheme, _, _ := strings.Cut(text, ":")
		all := (&router.ServiceRouter{}).ListServices()
		slices.Sort(all)
		return fmt.Errorf("there is no service %q: they are %s", scheme, strings.Join(all, ", "))
	}
	return quiet(err, text)
}

// session is what a configuration keeps from its first use on.
type session struct {
	title, body *template.Template
	services    []*service

	mu  sync.Mutex
	key string // of the latest delivery
}

// service is one of the URLs.
type service struct {
	name   string
	url    string
	sender *router.ServiceRouter
	told   bool // by the latest delivery
}

// Open makes the services.
func (c *Config) Open(context.Context) (err error) {
	s := &session{}
	for _, u := range c.URLs {
		name, _, _ := strings.Cut(string(u), ":")
		sender, err := shoutrrr.CreateSender(string(u))
		if err != nil {
			return quiet(err, string(u))
		}
		sender.Timeout = c.Timeout
		s.services = append(s.services, &service{name: name, url: string(u), sender: sender})
	}
	if s.title, err = message.Parse(c.Title); err != nil {
		return err
	}
	if s.body, err = message.Parse(c.Body); err != nil {
		return err
	}
	c.session = s
	return nil
}

// notify tells all services at the same time, without those that an attempt before has told.
func notify(ctx context.Context, events []sdk.Event, c Config) error {
	s := c.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if key := sdk.DeliveryOf(ctx).Key; key == "" || key != s.key || !slices.ContainsFunc(s.services, func(v *service) bool { return !v.told }) {
		s.key = key
		for _, v := range s.services {
			v.told = false
		}
	}
	d := message.DataOf(events)
	title, err := message.Execute(s.title, d)
	if err != nil {
		return sdk.Drop(fmt.Errorf("title: %w", err))
	}
	body, err := message.Execute(s.body, d)
	if err != nil {
		return sdk.Drop(fmt.Errorf("body: %w", err))
	}
	return s.tell(title, body)
}

// tell sends to those that have not been told. Each comes to its end by the services' time-out.
func (s *session) tell(title, body string) error {
	errs := make([]error, len(s.services))
	var sending sync.WaitGroup
	for i, v := range s.services {
		if v.told {
			continue
		}
		sending.Go(func() {
			params := types.Params{}
			params.SetTitle(title)
			if err := errors.Join(v.sender.Send(body, &params)...); err != nil {
				errs[i] = fmt.Errorf("%s: %w", v.name, quiet(err, v.url))
				return
			}
			v.told = true
		})
	}
	sending.Wait()
	return errors.Join(errs...)
}

// quiet is an error without what is secret of the service's URL, and of any other: all but scheme and host.
func quiet(err error, service string) error {
	text := err.Error()
	for _, part := range secrets(service) {
		text = strings.ReplaceAll(text, part, "***")
	}
	text = regexp.MustCompile(`([a-z][a-z0-9+.-]*://)([^\s"]*@)?([^/\s"?]*)[^\s"]*`).ReplaceAllString(text, "$1$3")
	return errors.New(strings.Join(strings.Fields(text), " "))
}

// secrets are the parts of a URL that may be one, the longest first: the whole, the user, the path, the values of the query.
func secrets(service string) []string {
	parts := []string{service}
	if u, err := url.Parse(service); err == nil {
		password, _ := u.User.Password()
		parts = append(parts, u.User.Username(), password, strings.Trim(u.Path, "/"))
		parts = append(parts, strings.Split(u.Path, "/")...)
		for _, values := range u.Query() {
			parts = append(parts, values...)
		}
	}
	const least = 4 // bytes: what is shorter would make words unreadable, and is no secret
	parts = slices.DeleteFunc(parts, func(s string) bool { return len(s) < least })
	slices.SortFunc(parts, func(a, b string) int { return len(b) - len(a) })
	return parts
}
