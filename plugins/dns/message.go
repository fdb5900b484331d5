package dns

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// query is what is asked, but for the number of the message.
type query struct {
	recursion bool
	question  dnsmessage.Question
}

// pack is the query as it travels.
func (q query) pack(id uint16) ([]byte, error) {
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: id, RecursionDesired: q.recursion},
		Questions: []dnsmessage.Question{q.question},
	}
	return m.Pack()
}

// answer is what a response says.
type answer struct {
	rcode         dnsmessage.RCode
	authoritative bool
	truncated     bool     // with records missing
	records       []string // of the type that was asked for, as a zone file has them
}

// errForeign is a message that is not the response to the query.
var errForeign = errors.New("a message that is no answer to the query")

// answer reads a response to the query with the number id. An error that is not [errForeign] says that the server sends nonsense.
func (q query) answer(id uint16, message []byte) (answer, error) {
	var p dnsmessage.Parser
	h, err := p.Start(message)
	if err != nil {
		return answer{}, nonsense(message)
	}
	if h.ID != id || !h.Response {
		return answer{}, errForeign
	}
	questions, err := p.AllQuestions()
	if err != nil {
		return answer{}, nonsense(message)
	}
	a := answer{rcode: h.RCode, authoritative: h.Authoritative, truncated: h.Truncated}
	if len(questions) == 0 && h.RCode != dnsmessage.RCodeSuccess {
		return a, nil // a server that does not understand a query need not repeat it
	}
	if len(questions) != 1 || !q.asks(questions[0]) {
		return answer{}, errForeign
	}
	if a.truncated {
		return a, nil
	}
	a.records, err = q.records(&p)
	if err != nil {
		return answer{}, nonsense(message)
	}
	return a, nil
}

func nonsense(message []byte) error {
	return fmt.Errorf("a message of %d bytes that is not DNS", len(message))
}

// asks tells whether a question is the query's own. Case does not matter (RFC 4343).
func (q query) asks(other dnsmessage.Question) bool {
	return other.Type == q.question.Type && other.Class == q.question.Class &&
		strings.EqualFold(other.Name.String(), q.question.Name.String())
}

// records reads the answers of the type that was asked for; aliases on the way to them are left out.
func (q query) records(p *dnsmessage.Parser) ([]string, error) {
	var all []string
	for {
		h, err := p.AnswerHeader()
		switch {
		case errors.Is(err, dnsmessage.ErrSectionDone):
			return all, nil
		case err != nil:
			return nil, err
		case h.Type != q.question.Type || h.Class != q.question.Class:
			if err := p.SkipAnswer(); err != nil {
				return nil, err
			}
			continue
		}
		r, err := p.Answer()
		if err != nil {
			return nil, err
		}
		all = append(all, text(r.Body))
	}
}

// text is the data of a record, in the form that [canonical] gives.
func text(body dnsmessage.ResourceBody) string {
	name := func(n dnsmessage.Name) string { return canonicalName(n.String()) }
	switch r := body.(type) {
	case *dnsmessage.AResource:
		return netip.AddrFrom4(r.A).String()
	case *dnsmessage.AAAAResource:
		return netip.AddrFrom16(r.AAAA).String()
	case *dnsmessage.CNAMEResource:
		return name(r.CNAME)
	case *dnsmessage.NSResource:
		return name(r.NS)
	case *dnsmessage.PTRResource:
		return name(r.PTR)
	case *dnsmessage.MXResource:
		return fmt.Sprint(r.Pref, " ", name(r.MX))
	case *dnsmessage.SRVResource:
		return fmt.Sprint(r.Priority, " ", r.Weight, " ", r.Port, " ", name(r.Target))
	case *dnsmessage.SOAResource:
		return fmt.Sprint(name(r.NS), " ", name(r.MBox), " ", r.Serial, " ", r.Refresh, " ", r.Retry, " ", r.Expire, " ", r.MinTTL)
	case *dnsmessage.TXTResource:
		return strings.Join(r.TXT, "")
	}
	return fmt.Sprintf("%T", body)
}

// canonical is what an operator expects in the form of [text]: names in lower case and without the last dot, addresses in
// their short form. A TXT record stays as it is.
func canonical(kind, s string) string {
	if kind == "TXT" {
		return s
	}
	if a, err := netip.ParseAddr(s); err == nil {
		return a.String()
	}
	fields := strings.Fields(s)
	for i, f := range fields {
		fields[i] = canonicalName(f)
	}
	return strings.Join(fields, " ")
}

// canonicalName keeps the dot of the root.
func canonicalName(s string) string {
	if s == "." {
		return s
	}
	return strings.ToLower(strings.TrimSuffix(s, "."))
}

// types are the types of records by their names.
func types() map[string]dnsmessage.Type {
	return map[string]dnsmessage.Type{
		"A": dnsmessage.TypeA, "AAAA": dnsmessage.TypeAAAA, "CNAME": dnsmessage.TypeCNAME, "MX": dnsmessage.TypeMX,
		"NS": dnsmessage.TypeNS, "PTR": dnsmessage.TypePTR, "SOA": dnsmessage.TypeSOA, "SRV": dnsmessage.TypeSRV, "TXT": dnsmessage.TypeTXT,
	}
}

// rcodeName is a response code as operators know it (RFC 1035 4.1.1).
func rcodeName(r dnsmessage.RCode) string {
	names := []string{"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"}
	if int(r) < len(names) {
		return names[r]
	}
	return fmt.Sprint(uint16(r))
}
