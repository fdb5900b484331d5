package plugintest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vipward/vipward/sdk"
)

type config struct {
	Codes  []int      `vipward:"codes" default:"[200]" min:"100" max:"599" doc:"Codes."`
	Say    string     `vipward:"say" doc:"What to say."`
	Secret sdk.Secret `vipward:"secret" doc:"A secret."`
}

func (c *config) Validate() error {
	if i := slices.Index(c.Codes, 418); i >= 0 {
		return sdk.Warning(sdk.PathError(errors.New("418 is for teapots"), "codes", i))
	}
	return nil
}

// check does as its configuration says.
func check(ctx context.Context, t sdk.Target, c config) sdk.Result {
	switch c.Say {
	case "warn":
		return sdk.Warnf("slow: %s", t.Labels["rack"])
	case "fail":
		return sdk.Failf("status 500")
	case "error":
		return sdk.Errorf("no such file")
	case "hang":
		<-ctx.Done()
		return sdk.Fail(ctx.Err())
	case "dial":
		conn, err := t.Dial(ctx)
		if err != nil {
			return sdk.Fail(err)
		}
		conn.Close()
	}
	return sdk.Pass().Weight(7).Value("load", 0.5)
}

func TestAgainst(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := Checker(t, "say", check)
	c.Against("").Pass().Weight(7).Value("load", 0.5)
	c.Config(`{"say": "warn"}`).Labels(map[string]string{"rack": "r7"}).Against("").Warn("slow: r7")
	c.Config(`{"say": "fail"}`).Against("").Fail("500")
	c.Config(`{"say": "error"}`).Against("").Error("no such file")
	c.Config(`{"say": "hang"}`).Timeout(50 * time.Millisecond).Against("").Fail("deadline")
	c.Config(`{"say": "dial"}`).Against(l.Addr().String()).Pass()
	l.Close()
	if r := c.Config(`{"say": "dial"}`).Against(l.Addr().String()); !strings.Contains(r.Reason(), "refused") {
		t.Errorf("reason %q", r.Reason())
	}
	c.Config(`{"codes": 7`).Against("").Error("not an object")
	if got := c.Config(`{"say": "fail"}`).Against("").String(); got != "fail: status 500" {
		t.Errorf("String = %q, want %q", got, "fail: status 500")
	}
}

func TestDiagnostics(t *testing.T) {
	c := Checker(t, "say", check)
	c.Valid()
	c.Config(`{"codes": [200, 700]}`).Invalid("codes[1]", "out of range")
	c.Config(`{"code": [200]}`).Invalid("code", "no such attribute")
	c.Config(`{"codes": [200, 418]}`).Warned("codes[1]", "teapots")
	c.Config(`[]`).Invalid("", "not an object")
}

func TestEvents(t *testing.T) {
	var told []string
	n := Notifier(t, "say", func(ctx context.Context, events []sdk.Event, c config) error {
		for _, e := range events {
			told = append(told, fmt.Sprint(e.Subject, " ", e.To, " ", sdk.DeliveryOf(ctx)))
		}
		switch c.Say {
		case "later":
			return sdk.RetryAfter(time.Minute)
		case "never":
			return sdk.Drop(errors.New("no such channel"))
		case "fail":
			return errors.New("connection refused")
		}
		return nil
	})
	n.Delivery(sdk.Delivery{Key: "k", Attempt: 3}).Events(sdk.Event{Subject: "web", To: "MASTER"}).Delivered()
	if want := []string{"web MASTER {k 3}"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
	n.Config(`{"say": "later"}`).Events().RetryAfter(time.Minute)
	n.Config(`{"say": "never"}`).Events().Dropped("no such channel")
	n.Config(`{"say": "fail"}`).Events().Retry("refused")
	n.Config(`{"codes": 7}`).Invalid("codes", "not a list")
	n.Conformance()
}

func TestFencing(t *testing.T) {
	on := true
	f := Fencer(t, "say", sdk.Fence[config]{
		Off: func(ctx context.Context, target sdk.FenceTarget, c config) sdk.FenceResult {
			if c.Say == "hang" {
				<-ctx.Done()
				return sdk.Confirmed("at last")
			}
			if target.DryRun {
				return sdk.Confirmed("would switch off " + target.Node)
			}
			on = false
			return sdk.Confirmed(target.Node + " reads off")
		},
		Status: func(_ context.Context, _ sdk.FenceTarget, _ config) sdk.FenceResult {
			if on {
				return sdk.Failed(errors.New("reads on"))
			}
			return sdk.Confirmed("reads off")
		},
	})
	f.Status().Failed("reads on")
	f.Node("lb1").DryRun().Off().Unknown("dry run: would switch off lb1")
	f.Status().Failed("reads on")
	f.Off().Confirmed("lb2 reads off")
	f.Status().Confirmed("reads off")
	f.On().Unknown("no action on")
	f.Config(`{"say": "hang"}`).Timeout(50 * time.Millisecond).Off().Unknown("deadline")
	f.Conformance()
}

func TestConformanceOfAChecker(t *testing.T) {
	Checker(t, "say", check).Conformance()
}

// TestWantsThatAreNotMet runs this test again in a process of its own, where each case must fail: a test kit that lets
// everything pass is worse than none.
func TestWantsThatAreNotMet(t *testing.T) {
	cases := map[string]func(*testing.T){
		"pass":        func(t *testing.T) { Checker(t, "say", check).Config(`{"say": "fail"}`).Against("").Pass() },
		"fail":        func(t *testing.T) { Checker(t, "say", check).Against("").Fail("") },
		"reason":      func(t *testing.T) { Checker(t, "say", check).Config(`{"say": "fail"}`).Against("").Fail("404") },
		"error":       func(t *testing.T) { Checker(t, "say", check).Config(`{"say": "fail"}`).Against("").Error("") },
		"warn":        func(t *testing.T) { Checker(t, "say", check).Against("").Warn("") },
		"weight":      func(t *testing.T) { Checker(t, "say", check).Against("").Weight(8) },
		"value":       func(t *testing.T) { Checker(t, "say", check).Against("").Value("cpu", 0.5) },
		"valid":       func(t *testing.T) { Checker(t, "say", check).Config(`{"codes": [418]}`).Valid() },
		"path":        func(t *testing.T) { Checker(t, "say", check).Config(`{"codes": [700]}`).Invalid("codes[1]", "") },
		"severity":    func(t *testing.T) { Checker(t, "say", check).Config(`{"codes": [700]}`).Warned("codes[0]", "") },
		"conformance": func(t *testing.T) { Checker(t, "Bad Name", check).Conformance() },
		"no name": func(t *testing.T) {
			Checker(t, "", check)
		},
	}
	if name := os.Getenv("PLUGINTEST_CASE"); name != "" {
		cases[name](t)
		return
	}
	for name := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(os.Args[0], "-test.run", "^TestWantsThatAreNotMet$")
			cmd.Env = append(os.Environ(), "PLUGINTEST_CASE="+name)
			if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "--- FAIL: TestWantsThatAreNotMet") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
