package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

const (
	askTimeout   = 5 * time.Second  // for one question that costs nothing
	workTimeout  = 15 * time.Second // for an answer that may need the network
	checkTimeout = time.Minute
)

// Options of a run.
type Options struct {
	// Component and Kind limit the run to components of this name and kind. Zero for all.
	Component string
	Kind      pluginv1.Kind
	// Config is the configuration of that component as a JSON object by the names of its schema. Without one the suite makes
	// one up from the schema, with addresses of this machine.
	Config json.RawMessage
	// Target is the ADDRESS:PORT that checkers get. Empty for a listener of the suite's own, which hangs up at once.
	Target string
	// Targets is how many of them a checker gets at once, 1 to 10,000. Default: 1000.
	Targets int
}

// targets is how many targets a checker gets at once.
func (o Options) targets() int {
	if o.Targets <= 0 {
		return manyTargets
	}
	return min(o.Targets, 10*manyTargets)
}

// covers tells whether a component is to be checked.
func (o Options) covers(c *pluginv1.Component) bool {
	return (o.Component == "" || c.GetName() == o.Component) && (o.Kind == 0 || c.GetKind() == o.Kind)
}

// Finding is what came out of one check.
type Finding struct {
	// Check says in words what has to hold.
	Check string `json:"check"`
	// Component is what it holds of, as in `checker "http"`; empty for the plugin as a whole.
	Component string `json:"component,omitempty"`
	// OK tells whether it holds; if not, Reason says what was seen instead.
	OK     bool   `json:"ok"`
	Reason string `json:"reason,omitempty"`
}

// String is the finding as one line: `ok   checker "http": …` or `FAIL …: why`.
func (f Finding) String() string {
	word, subject, reason := "ok  ", "", ""
	if f.Component != "" {
		subject = f.Component + ": "
	}
	if !f.OK {
		word, reason = "FAIL", ": "+f.Reason
	}
	return word + " " + subject + f.Check + reason
}

// check is one thing that has to hold, of a plugin that lives.
type check struct {
	name string
	run  func(ctx context.Context, s *suite) error
}

// suite is one run and the plugin that it is about.
type suite struct {
	o         Options
	launch    func(context.Context) (*Plugin, error)
	report    func(Finding)
	failed    bool
	plugin    *Plugin
	described *pluginv1.DescribeResponse

	// Of the component that is being checked.
	component *pluginv1.Component
	config    json.RawMessage
	strays    []string // what its streams carried and should not have
}

// Run checks a plugin that launch makes, once more whenever it has ended, and reports each finding as it comes. It is true
// where all of them are good. command is the executable, for the checks that need processes of their own; nil for none.
func Run(ctx context.Context, launch func(context.Context) (*Plugin, error), command *Command, o Options, report func(Finding)) bool {
	s := &suite{o: o, launch: launch, report: report}
	defer s.close()
	if command != nil {
		s.tell(finding("", startedByHand, explains(ctx, *command)))
	}
	err := s.start(ctx)
	s.tell(finding("", startsUp, err))
	if err != nil {
		return false // all else would fail for the same reason
	}
	s.each(ctx, "", pluginChecks())
	s.components(ctx)
	if command != nil {
		s.each(ctx, "", processChecks(*command))
	}
	return !s.failed
}

// Executable checks an executable: [Run] with processes of it.
func Executable(ctx context.Context, c Command, o Options, report func(Finding)) bool {
	return Run(ctx, c.Start, &c, o, report)
}

// components checks the components one by one.
func (s *suite) components(ctx context.Context) {
	found := false
	for _, c := range s.described.GetComponents() {
		if !s.o.covers(c) || reserved(c.GetKind()) == nil { // an unknown kind has been reported
			continue
		}
		found = true
		s.component, s.strays = c, nil
		s.config = s.o.Config
		if s.config == nil {
			s.config = sample(c.GetConfig())
		}
		title := Title(c.GetKind(), c.GetName())
		s.each(ctx, title, schemaChecks())
		s.each(ctx, title, validateChecks())
		switch c.GetKind() {
		case pluginv1.Kind_CHECKER:
			s.each(ctx, title, checkerChecks())
		case pluginv1.Kind_NOTIFIER:
			s.each(ctx, title, notifierChecks())
		case pluginv1.Kind_FENCER:
			s.each(ctx, title, fencerChecks())
		case pluginv1.Kind_WITNESS:
			s.each(ctx, title, witnessChecks())
		}
		s.each(ctx, title, secretChecks())
	}
	s.component = nil
	if !found {
		s.tell(Finding{Check: "it has the component that is asked for", Reason: "it has " + names(s.described.GetComponents())})
	}
}

// each makes some checks, with a plugin that lives.
func (s *suite) each(ctx context.Context, component string, checks []check) {
	for _, c := range checks {
		err := s.ready(ctx)
		if err == nil {
			err = s.make(ctx, c)
		}
		s.tell(finding(component, c.name, err))
	}
}

// finding is what an error says of a check, in one line.
func finding(component, name string, err error) Finding {
	f := Finding{Check: name, Component: component, OK: err == nil}
	if err != nil {
		f.Reason = strings.Join(strings.Fields(err.Error()), " ")
	}
	return f
}

// make makes one check, and says where the plugin ended in it.
func (s *suite) make(ctx context.Context, c check) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	err := c.run(ctx, s)
	if err != nil {
		s.plugin.mayEnd()
	}
	return errors.Join(err, s.plugin.ended())
}

func (s *suite) tell(f Finding) {
	s.failed = s.failed || !f.OK
	s.report(f)
}

// ready has a plugin that lives.
func (s *suite) ready(ctx context.Context) error {
	if s.plugin != nil && s.plugin.ended() == nil {
		return nil
	}
	s.close()
	p, err := s.launch(ctx)
	if err != nil {
		return err
	}
	s.plugin = p
	return nil
}

func (s *suite) close() {
	if s.plugin != nil {
		s.plugin.Close()
		s.plugin = nil
	}
}

// Title is a component in the words of a configuration: `checker "http"`.
func Title(kind pluginv1.Kind, name string) string {
	return fmt.Sprintf("%s %q", strings.ToLower(kind.String()), name)
}

func names(components []*pluginv1.Component) string {
	var all []string
	for _, c := range components {
		all = append(all, Title(c.GetKind(), c.GetName()))
	}
	if slices.Sort(all); len(all) == 0 {
		return "none"
	}
	return strings.Join(all, ", ")
}
