package sdk

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

type ballot struct {
	Prefix string `vipward:"prefix,required" doc:"What the claims begin with."`
}

func ask(ctx context.Context, t *testing.T, w Witness[ballot], release bool, r *pluginv1.WitnessRequest) string {
	t.Helper()
	s := &server{components: []Component{WitnessOf("urn", w)}}
	ws := &witnesses{components: s.byName(pluginv1.Kind_WITNESS), log: newLogger(io.Discard)}
	r.Component, r.Node = "urn", "lb1"
	if r.ConfigJson == nil {
		r.ConfigJson = []byte(`{"prefix": "p"}`)
	}
	f := ws.Acquire
	if release {
		f = ws.Release
	}
	a, err := f(ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join([]string{a.GetVerdict().String(), a.GetHolder(), a.GetReason()}, " ")
}

func TestVerdictsOfAWitness(t *testing.T) {
	says := func(g Grant) Witness[ballot] {
		f := func(context.Context, Claim, ballot) Grant { return g }
		return Witness[ballot]{Acquire: f, Release: f}
	}
	for _, tt := range []struct {
		name    string
		witness Witness[ballot]
		config  string
		claim   string
		want    string
	}{
		{"granted", says(Granted()), "", "web", "GRANTED  "},
		{"refused", says(Refused("lb2")), "", "web", "REFUSED lb2 "},
		{"no answer", says(Unanswered(errors.New("connection refused"))), "", "web", "UNKNOWN  connection refused"},
		{"no answer without an error", says(Unanswered(nil)), "", "web", "UNKNOWN  the witness does not answer"},
		{"the zero value", says(Grant{}), "", "web", "UNKNOWN  "},
		{"a panic", Witness[ballot]{Acquire: func(context.Context, Claim, ballot) Grant { panic("ouch") }}, "", "web", "UNKNOWN  panic: ouch"},
		{"no function", Witness[ballot]{}, "", "web", "UNKNOWN  the witness has no Acquire"},
		{"a faulty configuration", says(Granted()), `{"`, "web", "UNKNOWN  configuration: "},
		{"a claim without a name", says(Granted()), "", "", "UNKNOWN  the claim has no name, no node or no time"},
	} {
		r := &pluginv1.WitnessRequest{Claim: tt.claim, Ttl: durationpb.New(time.Second)}
		if tt.config != "" {
			r.ConfigJson = []byte(tt.config)
		}
		if got := ask(t.Context(), t, tt.witness, false, r); !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestAGrantThatComesTooLateIsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := Witness[ballot]{Acquire: func(context.Context, Claim, ballot) Grant {
			time.Sleep(2 * time.Second)
			return Granted()
		}}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		got := ask(ctx, t, w, false, &pluginv1.WitnessRequest{Claim: "web", Ttl: durationpb.New(time.Second)})
		if got != "UNKNOWN  context deadline exceeded" || time.Since(began) != time.Second {
			t.Errorf("%q after %v", got, time.Since(began))
		}
		time.Sleep(5 * time.Second)
	})
}

func TestWhatAWitnessIsAsked(t *testing.T) {
	var acquired, released Claim
	w := Witness[ballot]{
		Acquire: func(_ context.Context, c Claim, b ballot) Grant { acquired = c; return Refused(b.Prefix) },
		Release: func(_ context.Context, c Claim, _ ballot) Grant { released = c; return Granted() },
	}
	if got := ask(t.Context(), t, w, false, &pluginv1.WitnessRequest{Claim: "web", Ttl: durationpb.New(3 * time.Second)}); got != "REFUSED p " {
		t.Errorf("Acquire: %q", got)
	}
	if got := ask(t.Context(), t, w, true, &pluginv1.WitnessRequest{Claim: "web"}); got != "GRANTED  " {
		t.Errorf("Release: %q", got)
	}
	if want := (Claim{"web", "lb1", 3 * time.Second}); acquired != want || released != (Claim{"web", "lb1", 0}) {
		t.Errorf("acquired %+v, released %+v", acquired, released)
	}
}
