package conformance

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// fewTargets is how many the tests of the suite itself give to a checker: dozens of suites run at once.
const fewTargets = 200

func TestMain(m *testing.M) {
	if strings.HasPrefix(filepath.Base(os.Args[0]), "vipward-plugin-") {
		serveFake()
		return
	}
	_ = flag.Set("test.parallel", "24") // the tests wait most of the time
	os.Exit(m.Run())
}

// inProcess has the fake in this process.
func inProcess(kind pluginv1.Kind, fault string) func(context.Context) (*Plugin, error) {
	return func(context.Context) (*Plugin, error) {
		l := bufconn.Listen(1 << 20)
		s := grpc.NewServer()
		(&fake{kind: kind, fault: fault}).register(s)
		go func() { _ = s.Serve(l) }()
		conn, err := grpc.NewClient("passthrough:fake", grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))
		return InProcess(conn, func() string { return "" }, s.Stop), err
	}
}

// expect wants the checks, and no others, to fail.
func expect(t *testing.T, run func(func(Finding)) bool, checks ...string) {
	t.Helper()
	var all []Finding
	var text strings.Builder
	ok := run(func(f Finding) {
		all = append(all, f)
		text.WriteString(f.String() + "\n")
	})
	bad := failed(all)
	if ok != (len(bad) == 0) {
		t.Errorf("Run = %v with %d bad findings", ok, len(bad))
	}
	if !slices.Equal(bad, checks) {
		t.Errorf("these fail:\n  %s\nwant:\n  %s\nof:\n%s", strings.Join(bad, "\n  "), strings.Join(checks, "\n  "), text.String())
	}
}

func TestAPluginThatKeepsTheProtocolPasses(t *testing.T) {
	t.Parallel()
	expect(t, func(report func(Finding)) bool {
		return Run(t.Context(), inProcess(0, ""), nil, Options{Targets: fewTargets}, report)
	})
}

// TestEachFaultIsFound breaks the fake in one way at a time: just the checks that are about it fail.
func TestEachFaultIsFound(t *testing.T) {
	t.Parallel()
	const (
		components  = "its components have names and known kinds, each once"
		wellFormed  = "its attributes and blocks have well-formed names, each once"
		documented  = "its attributes and blocks are documented"
		constraints = "its constraints make sense"
		defaults    = "its defaults are of the declared type and allowed values"
		right       = "it accepts a right configuration, at once"
		wrongTypes  = "it refuses values of a wrong type at their attribute"
		accepting   = "the deadline holds against a target that accepts nothing"
		talking     = "the deadline holds against a target that says nothing"
		garbage     = "a configuration that cannot be read is an error, not a failure of the target"
		unknown     = "an unknown component gets no verdict"
		strays      = "results have a known status and the ids that were assigned"
		beat        = "a heartbeat counts the targets"
		batch       = "a batch of events is answered, and so is the same again with the same key"
		empty       = "an empty batch is not tried again"
		secrets     = "secrets appear in no log, reason or diagnostic"
		checker     = pluginv1.Kind_CHECKER
		notifier    = pluginv1.Kind_NOTIFIER
		fencer      = pluginv1.Kind_FENCER
		witness     = pluginv1.Kind_WITNESS
	)
	tests := []struct {
		kind   pluginv1.Kind
		fault  string
		checks []string
	}{
		{fencer, "nameless", []string{startsUp}},
		{fencer, "offers nothing", []string{startsUp}},
		{fencer, "describes itself anew", []string{"its description is the same each time"}},
		{fencer, "component twice", []string{components}},
		{fencer, "component with a bad name", []string{components}},
		{fencer, "component of no kind", []string{components}},
		{fencer, "pongs out of order", []string{"it answers pings in order"}},
		{fencer, "unknown type", []string{"its attributes have known types", defaults}},
		{fencer, "bad name", []string{wellFormed, wrongTypes}},
		{fencer, "name twice", []string{wellFormed}},
		{fencer, "reserved name", []string{"it leaves vipward's own names alone", wrongTypes}},
		{fencer, "undocumented", []string{documented}},
		{fencer, "undocumented in a block", []string{documented}},
		{fencer, "limits the wrong way", []string{constraints}},
		{fencer, "bad pattern", []string{constraints}},
		{fencer, "default of another type", []string{defaults}},
		{fencer, "default not among the values", []string{defaults}},
		{fencer, "default that is no JSON", []string{defaults}},
		{fencer, "refuses everything", []string{right, wrongTypes}},
		{fencer, "slow to validate", []string{right}},
		{fencer, "accepts wrong types", []string{wrongTypes}},
		{fencer, "refuses without a path", []string{wrongTypes}},
		{fencer, "points elsewhere", []string{wrongTypes}},
		{fencer, "accepts no JSON", []string{"it refuses a configuration that is no JSON"}},
		{fencer, "validates unknown components", []string{"it refuses to validate for a component that it does not have"}},
		{fencer, "tells secrets when it validates", []string{secrets}},
		{checker, "has no heartbeat", []string{beat}},
		{checker, "hurries", []string{"an interval is kept", "a target that is assigned again has only the new assignment"}},
		{checker, "adds up assignments", []string{"a target that is assigned again has only the new assignment"}},
		{checker, "does not stop", []string{"an unassigned target gets no more results"}},
		{checker, "remembers the last stream", []string{"a new stream begins without targets", strays}},
		{checker, "loses targets", []string{"many targets at once all get results"}},
		{checker, "ignores the deadline", []string{accepting, talking}},
		{checker, "ignores silence", []string{talking}},
		{checker, "overlaps", []string{"runs of one target do not overlap"}},
		{checker, "fails on garbage", []string{garbage}},
		{checker, "serves unknown components", []string{unknown}},
		{checker, "has odd results", []string{garbage, unknown, strays}},
		{checker, "tells secrets", []string{secrets}},
		{notifier, "fails the second time", []string{batch}},
		{notifier, "has odd outcomes", []string{batch, empty, secrets}},
		{notifier, "retries nothing", []string{empty}},
		{notifier, "delivers anything", []string{"a configuration that cannot be read delivers nothing"}},
		{notifier, "delivers for anybody", []string{"an unknown notifier is refused"}},
		{fencer, "has odd verdicts", []string{"a dry run of each action is answered"}},
		{fencer, "confirms dry runs", []string{"a dry run confirms neither off nor on"}},
		{fencer, "confirms without evidence", []string{"what is confirmed has evidence"}},
		{fencer, "confirms every action", []string{"an action of a later version is not confirmed"}},
		{fencer, "fences without a configuration", []string{"a configuration that cannot be read confirms nothing"}},
		{fencer, "fences for anybody", []string{"an unknown fencer is refused"}},
		{witness, "has an odd grant", []string{"a claim is answered, by a known verdict"}},
		{witness, "grants to both", []string{"of two nodes one at most has a grant"}},
		{witness, "gives no reason", []string{"what is not answered has a reason"}},
		{witness, "grants anything", []string{"a claim without a name, a node or a time is not granted"}},
		{witness, "grants without a configuration", []string{"a configuration that cannot be read grants nothing"}},
		{witness, "grants for anybody", []string{"an unknown witness is refused"}},
	}
	for _, c := range tests {
		t.Run(c.fault, func(t *testing.T) {
			t.Parallel()
			expect(t, func(report func(Finding)) bool {
				return Run(t.Context(), inProcess(c.kind, c.fault), nil, Options{Targets: fewTargets}, report)
			}, c.checks...)
		})
	}
}

// TestEachFaultOfAnExecutableIsFound does the same with processes.
func TestEachFaultOfAnExecutableIsFound(t *testing.T) {
	t.Parallel()
	const (
		quiet = "nothing but the handshake is on its stdout"
		leaks = "fifty assignments leave no descriptors open"
	)
	tests := []struct {
		kind   pluginv1.Kind
		fault  string
		name   string
		checks []string
	}{
		{pluginv1.Kind_CHECKER, "", "vipward-plugin-fake", nil},
		{pluginv1.Kind_FENCER, "", "vipward-plugin-other", []string{"a component has the name of the executable"}},
		{pluginv1.Kind_FENCER, "says nothing by hand", "vipward-plugin-fake", []string{startedByHand}},
		{pluginv1.Kind_FENCER, "waits by hand", "vipward-plugin-fake", []string{startedByHand}},
		{pluginv1.Kind_FENCER, "shakes hands with anybody", "vipward-plugin-fake", []string{startedByHand}},
		{pluginv1.Kind_FENCER, "prints before the handshake", "vipward-plugin-fake", []string{startsUp}},
		{pluginv1.Kind_FENCER, "ends at once", "vipward-plugin-fake", []string{startsUp}},
		{pluginv1.Kind_FENCER, "speaks another version", "vipward-plugin-fake", []string{startsUp}},
		{pluginv1.Kind_FENCER, "listens elsewhere", "vipward-plugin-fake", []string{startsUp}},
		{pluginv1.Kind_FENCER, "prints after the handshake", "vipward-plugin-fake", []string{quiet}},
		{pluginv1.Kind_FENCER, "does not shut down", "vipward-plugin-fake", []string{"it stops within 2s when told to"}},
		{pluginv1.Kind_FENCER, "ignores its lifeline", "vipward-plugin-fake", []string{"it ends within 2s when its lifeline does"}},
		{pluginv1.Kind_FENCER, "ignores SIGTERM", "vipward-plugin-fake", []string{"it ends within 2s after SIGTERM"}},
		{pluginv1.Kind_CHECKER, "leaks descriptors", "vipward-plugin-fake", []string{leaks}},
		{pluginv1.Kind_CHECKER, "logs secrets", "vipward-plugin-fake", []string{"secrets appear in no log, reason or diagnostic"}},
		{pluginv1.Kind_CHECKER, "crashes with many", "vipward-plugin-fake", []string{"many targets at once all get results"}},
	}
	for _, c := range tests {
		t.Run(strings.TrimSpace(c.fault+" "+c.name), func(t *testing.T) {
			t.Parallel()
			command := Command{Path: link(t, c.name), Env: []string{"FAULT=" + c.fault, fmt.Sprintf("KIND=%d", c.kind)}}
			expect(t, func(report func(Finding)) bool {
				return Executable(t.Context(), command, Options{Targets: fewTargets}, report)
			}, c.checks...)
		})
	}
}

func TestWhatIsNoPluginFails(t *testing.T) {
	for _, path := range []string{"/nowhere", "/bin/true", "/bin/cat"} {
		ok := Executable(t.Context(), Command{Path: path}, Options{Targets: fewTargets}, func(Finding) {})
		if ok {
			t.Errorf("%s conforms", path)
		}
	}
}

func TestAComponentThatThereIsNotIsAFault(t *testing.T) {
	expect(t, func(report func(Finding)) bool {
		return Run(t.Context(), inProcess(0, ""), nil, Options{Component: "http"}, report)
	}, "it has the component that is asked for")
}

// link is the test binary under the name of a plugin: see TestMain.
func link(t *testing.T, name string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.Symlink(self, path); err != nil {
		t.Fatal(err)
	}
	return path
}
