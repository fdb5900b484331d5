// Package dns is the checker "dns": one query (RFC 1035), whose response code and answers are compared with what the operator
// expects. It asks by UDP, by TCP where an answer does not fit or where it is told to, follows nothing and caches nothing. It does
// not validate signatures (DNSSEC) and knows no TSIG.
package dns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/access"
)

// standardPort is where a name server listens.
const standardPort = 53

// Config is the block of the checker.
type Config struct {
	Port          uint16   `vipward:"port" min:"1" doc:"Port to ask. Default: the target's own, or 53."`
	Address       string   `vipward:"address" doc:"Whom to ask in a check of the node itself: HOST or HOST:PORT."`
	Name          string   `vipward:"name" default:"." doc:"Name to ask for. It is complete: no domain is added."`
	Type          string   `vipward:"type" default:"SOA" one_of:"A,AAAA,CNAME,MX,NS,PTR,SOA,SRV,TXT" doc:"Type of record to ask for."`
	Protocol      string   `vipward:"protocol" default:"udp" one_of:"udp,tcp" doc:"udp, which asks again by TCP when the answer does not fit, or tcp."`
	Recursion     bool     `vipward:"recursion" default:"true" doc:"Ask the server to ask others (RD)."`
	RCode         []string `vipward:"rcode" default:"[\"NOERROR\"]" one_of:"NOERROR,FORMERR,SERVFAIL,NXDOMAIN,NOTIMP,REFUSED" doc:"Response codes that pass."`
	Authoritative bool     `vipward:"authoritative" doc:"The answer must come from an authority for the name (AA)."`
	Answers       []string `vipward:"answers" doc:"What the records must hold: exactly these, in any order."`
	AnswerOneOf   []string `vipward:"answer_one_of" doc:"One record at least must hold one of these."`
	AnswerRE      string   `vipward:"answer_regexp" doc:"Regular expression (RE2) that one record at least must match."`
	MinAnswers    int      `vipward:"min_answers" min:"0" max:"1000" doc:"Records that there must be at least."`
	MaxAnswers    int      `vipward:"max_answers" min:"1" max:"1000" doc:"Records that there may be at most. Default: any number."`

	query  query
	expect *regexp.Regexp
}

// Component is the checker for [sdk.Serve].
func Component() sdk.Component { return sdk.Checker("dns", check, summary()) }

func summary() sdk.Option { return sdk.Summary("asks a name server and compares what it answers") }

// Validate reports what the tags cannot.
func (c *Config) Validate() error {
	var errs []error
	if strings.HasPrefix(c.Address, "/") {
		errs = append(errs, sdk.PathError(errors.New("a name server has no unix socket"), "address"))
	}
	errs = append(errs, sdk.PathError(access.CheckAddress(c.Address), "address"))
	_, err := c.ask()
	errs = append(errs, sdk.PathError(err, "name"))
	if _, err := regexp.Compile(c.AnswerRE); err != nil {
		errs = append(errs, sdk.PathError(fmt.Errorf("no regular expression: %w", err), "answer_regexp"))
	}
	if len(c.RCode) == 0 {
		errs = append(errs, sdk.PathError(errors.New("no response code would pass"), "rcode"))
	}
	if c.MaxAnswers > 0 && c.MinAnswers > c.MaxAnswers {
		errs = append(errs, sdk.PathError(fmt.Errorf("%d is more than max_answers, which is %d", c.MinAnswers, c.MaxAnswers), "min_answers"))
	}
	return errors.Join(errs...)
}

// Open works out what is asked and expected.
func (c *Config) Open(context.Context) error {
	var err error
	if c.query, err = c.ask(); err != nil {
		return err
	}
	if c.AnswerRE != "" {
		c.expect = regexp.MustCompile(c.AnswerRE) // Validate compiled it
	}
	return nil
}

// ask is the question. The root is a name, too.
func (c *Config) ask() (query, error) {
	name, err := dnsmessage.NewName(strings.TrimSuffix(c.Name, ".") + ".")
	q := query{recursion: c.Recursion, question: dnsmessage.Question{Name: name, Type: types()[c.Type], Class: dnsmessage.ClassINET}}
	if err == nil {
		_, err = q.pack(0)
	}
	if err != nil {
		return q, fmt.Errorf("%q is no name: it has labels of 1 to 63 characters, 253 in all", c.Name)
	}
	return q, nil
}

func check(ctx context.Context, t sdk.Target, c Config) sdk.Result {
	place, err := access.PlaceOf(t, c.Address, c.Port, standardPort)
	if err != nil {
		return sdk.Errorf("%v", err)
	}
	s := session{target: t, address: place.Address, query: c.query}
	what := fmt.Sprintf("%s %s by %s", c.Type, c.Name, strings.ToUpper(c.Protocol))
	began := time.Now()
	a, err := s.ask(ctx, c.Protocol)
	if err == nil && a.truncated { // only UDP brings that (RFC 7766 section 5)
		what = fmt.Sprintf("%s %s by TCP, since it does not fit into UDP", c.Type, c.Name)
		a, err = s.ask(ctx, "tcp")
	}
	switch {
	case errors.As(err, new(*net.DNSError)):
		return access.Unreachable(err)
	case sdk.Local(err):
		return sdk.Errorf("%s: %s", what, access.Words(err))
	case err != nil:
		return sdk.Failf("%s: %s", what, access.Words(err))
	}
	result := sdk.Pass()
	if why := c.judge(a); why != "" {
		result = sdk.Failf("%s: %s", what, why)
	}
	return result.Value("answers", float64(len(a.records))).Value("answer_seconds", time.Since(began).Seconds())
}
