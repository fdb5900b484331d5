package sdk

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// Component is one checker, notifier, fencer or witness that a plugin offers. Make it with [Checker], [Notifier], [Fencer] or
// [WitnessOf], serve it with [Serve].
type Component struct {
	kind    pluginv1.Kind
	name    string
	summary string
	version string
	schema  *pluginv1.Schema
	err     error // a fault of the author's in the configuration type

	validate func(raw []byte) error // what Validate and the tags say; see diagnostics
	check    func(raw []byte) bound[Target, Result]
	notify   func(raw []byte) bound[[]Event, error]
	fence    func(raw []byte) bound[fenceCall, FenceResult]
	ask      func(raw []byte) bound[askCall, Grant]
}

// Option changes how a component presents itself.
type Option func(*Component)

// Summary says in one line what the component does, for listings and help.
func Summary(line string) Option { return func(c *Component) { c.summary = line } }

// Version is the plugin's own version. The default is the one that the Go toolchain built in.
func Version(v string) Option { return func(c *Component) { c.version = v } }

// Checker makes a component of a function that checks a target. C is the configuration, a struct with tags: see the package
// documentation. check is called from many goroutines at once, for one target never twice at a time, with a context
// that ends at the deadline of the run. A panic counts as a check that could not be made.
func Checker[C any](name string, check func(context.Context, Target, C) Result, options ...Option) Component {
	c := newComponent[C](pluginv1.Kind_CHECKER, name, options)
	c.check = func(raw []byte) bound[Target, Result] {
		config := newConfig[C](raw)
		return bound[Target, Result]{close: config.close, call: func(ctx context.Context, t Target) Result {
			value, err := config.open(ctx)
			if err != nil {
				return Errorf("configuration: %v", err)
			}
			return check(ctx, t, value)
		}}
	}
	return c
}

// Notifier makes a component of a function that tells somebody about events, the oldest first. What it returns decides what
// becomes of them: nil is done, [Drop] gives up, any other error is tried again, [RetryAfter] at a time.
func Notifier[C any](name string, notify func(context.Context, []Event, C) error, options ...Option) Component {
	c := newComponent[C](pluginv1.Kind_NOTIFIER, name, options)
	c.notify = func(raw []byte) bound[[]Event, error] {
		config := newConfig[C](raw)
		return bound[[]Event, error]{close: config.close, call: func(ctx context.Context, events []Event) error {
			value, err := config.open(ctx)
			if err != nil {
				return fmt.Errorf("configuration: %w", err)
			}
			return notify(ctx, events, value)
		}}
	}
	return c
}

func newComponent[C any](kind pluginv1.Kind, name string, options []Option) Component {
	c := Component{kind: kind, name: name}
	for _, o := range options {
		o(&c)
	}
	fields, err := fieldsOf(reflect.TypeFor[C]())
	c.schema, c.err = schemaOf(fields), err
	c.validate = func(raw []byte) error {
		_, err := decodeConfig[C](raw)
		return err
	}
	return c
}

// decodeConfig reads a configuration and has it validated. A warning comes back with a configuration that can be used.
func decodeConfig[C any](raw []byte) (*C, error) {
	value := new(C)
	fields, err := fieldsOf(reflect.TypeFor[C]())
	if err != nil {
		return nil, err
	}
	if err := decode(fields, raw, reflect.ValueOf(value).Elem(), nil); err != nil {
		return nil, err
	}
	if v, ok := any(value).(interface{ Validate() error }); ok {
		err = v.Validate()
	}
	return value, err
}

// bound is a component's function with its configuration; close gives up what the configuration holds open.
type bound[In, Out any] struct {
	call  func(context.Context, In) Out
	close func()
}

// config is one configuration while it is in use: decoded at once, opened by the first call that needs it.
type config[C any] struct {
	value *C
	err   error
	lock  chan struct{} // a lock that can be given up at a deadline
	ready bool          // opened, or without Open
}

func newConfig[C any](raw []byte) *config[C] {
	c := &config[C]{lock: make(chan struct{}, 1)}
	var err error
	c.value, err = decodeConfig[C](raw)
	c.err = invalid(err)
	return c
}

// open is the configuration, opened. Where Open fails, the next call tries again.
func (c *config[C]) open(ctx context.Context) (C, error) {
	var zero C
	if c.err != nil {
		return zero, c.err
	}
	select {
	case c.lock <- struct{}{}:
		defer func() { <-c.lock }()
	case <-ctx.Done():
		return zero, ctx.Err()
	}
	if o, ok := any(c.value).(interface{ Open(context.Context) error }); ok && !c.ready {
		if err := o.Open(ctx); err != nil {
			return zero, err
		}
	}
	c.ready = true
	return *c.value, nil
}

// close closes what was opened. No call is under way any more.
func (c *config[C]) close() {
	closer, ok := any(c.value).(interface{ Close() error })
	if c.err != nil || !ok || !c.ready {
		return
	}
	_ = closer.Close() // the configuration is gone, and nobody could act on it
}

// fault is what makes a component unfit to be served.
func (c *Component) fault() error {
	if c.name == "" {
		return errors.New("a component has no name")
	}
	if c.err != nil {
		return fmt.Errorf("component %s: %w", c.name, c.err)
	}
	return nil
}
