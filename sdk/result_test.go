package sdk

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestResultsSayWhatTheyAre(t *testing.T) {
	for _, tt := range []struct {
		result Result
		want   string
	}{
		{Pass(), "pass"},
		{Warnf("disk at %d %%", 91), "warn: disk at 91 %"},
		{Fail(errors.New("refused")), "fail: refused"},
		{Fail(nil), "pass"},
		{Failf("status %d", 500), "fail: status 500"},
		{Errorf("no file"), "error: no file"},
		{Result{}, "error"},
	} {
		if got := tt.result.String(); got != tt.want {
			t.Errorf("result %q, want %q", got, tt.want)
		}
	}
}

func TestAResultTravelsWithinItsBounds(t *testing.T) {
	r := Failf("%s", strings.Repeat("é", 300)+"\xff").Weight(-5)
	for i := range 20 {
		r = r.Value(fmt.Sprint(i), 1)
	}
	p := r.proto(7)
	if len(p.GetReason()) != 512 || !utf8.ValidString(p.GetReason()) || p.GetId() != 7 || p.GetWeight() != 0 || len(p.GetValues()) != 16 {
		t.Errorf("result %v is out of its bounds", p)
	}
	if got := Failf("a\xffb").proto(1).GetReason(); got != "a\uFFFDb" {
		t.Errorf("reason %q, want the invalid byte replaced", got)
	}
	if p := (Result{}).proto(1); p.GetReason() != "the check returned no result" || p.Weight != nil {
		t.Errorf("the zero result travels as %v", p)
	}
}

func TestAValueOfOneResultDoesNotLeakIntoAnother(t *testing.T) {
	base := Pass().Value("a", 1)
	_ = base.Value("b", 2)
	if len(base.values) != 1 {
		t.Errorf("values = %v, want a only", base.values)
	}
}

func TestASecretDoesNotShowHoweverItIsPrinted(t *testing.T) {
	s := Secret("geheim")
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "secret", s, "in", struct{ S Secret }{s})
	text, err := json.Marshal(map[string]any{"s": s, "list": []Secret{s}})
	if err != nil {
		t.Fatal(err)
	}
	for _, shown := range []string{
		fmt.Sprint(s), fmt.Sprintf("%v %s %q %x %d %#v %+v", s, s, s, s, s, s, struct{ S Secret }{s}), s.String(), log.String(), string(text),
	} {
		if strings.Contains(shown, "geheim") || strings.Contains(shown, fmt.Sprintf("%x", "geheim")) {
			t.Errorf("the secret shows in %q", shown)
		}
	}
	if string(s) != "geheim" {
		t.Error("the value itself is lost")
	}
}
