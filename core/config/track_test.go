package config

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vipward/vipward/core/health"
	"github.com/vipward/vipward/core/node"
)

// tracked is an instance with that text in it.
func tracked(text string) string {
	return "node \"a\" { address = \"10.0.0.1\" }\nnode \"b\" { address = \"10.0.0.2\" }\n" +
		"vrrp_instance \"web\" {\n  interface = \"eth0\"\n  virtual_router_id = 51\n  priority = { a = 150, b = 100 }\n" +
		"  virtual_address \"10.0.0.100/32\" {}\n" + text + "\n}\n"
}

func TestTracksWithACheckOfTheirOwn(t *testing.T) {
	for _, c := range []struct {
		name, text   string
		track        node.Track
		kind, config string
	}{
		{
			"a script is judged by keepalived's rule", `track "script" { command = ["/usr/local/bin/alive", "-x"] }`,
			node.Track{Kind: node.TrackScript, Name: "alive", Check: "track/script/alive"},
			"exec", `{"command":["/usr/local/bin/alive","-x"],"format":"misc"}`,
		},
		{
			"unless it says otherwise, and under another name", "track \"script\" {\n name = \"disk\"\n command = [\"/x\"]\n format = \"monitoring\"\n weight = -60\n}",
			node.Track{Kind: node.TrackScript, Name: "disk", Check: "track/script/disk", Weighted: true, Weight: -60},
			"exec", `{"command":["/x"],"format":"monitoring"}`,
		},
		{
			"a file that holds a state", `track "file" { path = "/run/drain" }`,
			node.Track{Kind: node.TrackFile, Name: "/run/drain", Check: "track/file//run/drain"},
			"file", `{"path":"/run/drain"}`,
		},
		{
			"a file that holds a number", "track \"file\" {\n name = \"drain\"\n path = \"/run/drain\"\n weight = 1\n}",
			node.Track{Kind: node.TrackFile, Name: "drain", Check: "track/file/drain", Weighted: true, Weight: 1},
			"file", `{"as":"weight","path":"/run/drain"}`,
		},
		{
			"a process", "track \"process\" {\n name = \"nginx\"\n reverse = true\n quorum = 2\n}",
			node.Track{Kind: node.TrackProcess, Name: "nginx", Check: "track/process/nginx", Reverse: true},
			"process", `{"name":"nginx","quorum":2}`,
		},
		{
			"a process by its command line", `track "process" { command = ["/usr/bin/java", "-jar"] }`,
			node.Track{Kind: node.TrackProcess, Name: "java", Check: "track/process/java"},
			"process", `{"command":["/usr/bin/java","-jar"]}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := mustLoad(t, tracked(c.text), "a")
			if got := cfg.Node.Instances[0].Tracks; !slices.Equal(got, []node.Track{c.track}) {
				t.Errorf("Tracks = %+v, want %+v", got, c.track)
			}
			if n := len(cfg.Checks); n != 1 {
				t.Fatalf("there are %d checks, want one", n)
			}
			k := cfg.Checks[0]
			if k.ID != c.track.Check || k.Kind != c.kind || string(k.Config) != c.config || k.Interval != 2*time.Second || k.Timeout != time.Second {
				t.Errorf("Checks = %+v with %s, want %s of %s with %s each 2s", k, k.Config, c.track.Check, c.kind, c.config)
			}
			want := node.Checker{
				Name: string(c.track.Kind) + "." + c.track.Name, Check: c.track.Check, Plugin: c.kind,
				Health: health.Config{Rise: 1, Fall: 1, Initial: health.Unknown, FreshFor: cfg.Node.Checkers[0].Health.FreshFor},
			}
			if got := cfg.Node.Checkers; len(got) != 1 || got[0] != want {
				t.Errorf("Checkers = %+v, want %+v", got, want)
			}
		})
	}
}

func TestWhatTwoTracksCheckAlikeIsCheckedOnce(t *testing.T) {
	one := `track "script" { command = ["/bin/a"] }` + "\n"
	cfg := mustLoad(t, tracked(one+one), "a")
	if len(cfg.Checks) != 1 {
		t.Errorf("Checks = %+v, want one", cfg.Checks)
	}
	cfg = mustLoad(t, tracked(one+strings.Replace(one, "\"]", "\", \"-x\"]", 1)), "a")
	if len(cfg.Checks) != 2 || cfg.Node.Instances[0].Tracks[1].Name != "a-2" {
		t.Errorf("Checks = %+v, want two, the second of a-2", cfg.Checks)
	}
}

func TestATrackWithACheckOfItsOwnIsForetold(t *testing.T) {
	cfg := mustLoad(t, tracked("track \"script\" {\n command = [\"/bin/a\"]\n interval = \"1s\"\n timeout = \"500ms\"\n fall = 3\n}"), "a")
	want := "web: if script a fails on a, the VIP moves to b within 0.61 s, and up to 3.5 s until it counts as down"
	if len(cfg.Forecasts) != 1 || cfg.Forecasts[0].Text != want {
		t.Errorf("Forecasts = %+v, want %q", cfg.Forecasts, want)
	}
}
