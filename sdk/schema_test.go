package sdk

import (
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/testing/protocmp"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// everything has a field of each kind that a configuration may have.
type everything struct {
	Name     string            `vipward:"name,required" doc:"Who."`
	Mode     string            `vipward:"mode" default:"fast" one_of:"fast,slow"`
	Code     string            `vipward:"code" pattern:"[a-z]+" deprecated:"use name"`
	Count    int               `vipward:"count" default:"3" min:"1" max:"10"`
	Port     uint16            `vipward:"port"`
	Ratio    float64           `vipward:"ratio"`
	On       bool              `vipward:"on"`
	Wait     time.Duration     `vipward:"wait" default:"1s" min:"10ms" max:"1m"`
	Addr     netip.Addr        `vipward:"addr"`
	Endpoint netip.AddrPort    `vipward:"endpoint"`
	Net      netip.Prefix      `vipward:"net"`
	Password Secret            `vipward:"password"`
	Token    string            `vipward:"token,secret" pattern:"t-.*"`
	Codes    []int             `vipward:"codes" default:"[200]" min:"100" max:"599"`
	Labels   map[string]string `vipward:"labels" pattern:"[a-z]*"`
	TLS      *nested           `vipward:"tls,block" doc:"Perhaps."`
	Limits   nested            `vipward:"limits,block"`
	Rules    []nested          `vipward:"rule,block,required"`
	//lint:ignore U1000 it is here to be no attribute
	own  string
	Pool *int
	common
}

// common is what several configurations have.
type common struct {
	Region string `vipward:"region" default:"eu"`
}

type nested struct {
	File string `vipward:"file" default:"/etc/file"`
	Max  int    `vipward:"max" max:"5"`
}

func TestTheSchemaSaysWhatTheTagsSay(t *testing.T) {
	const nestedText = `schema { attributes { name: "file" type: "string" default_json: "\"/etc/file\"" } attributes { name: "max" type: "int" max: 5 } }`
	want := &pluginv1.Schema{}
	err := prototext.Unmarshal([]byte(`
		attributes { name: "name" type: "string" required: true doc: "Who." }
		attributes { name: "mode" type: "string" default_json: "\"fast\"" one_of: "fast" one_of: "slow" }
		attributes { name: "code" type: "string" pattern: "[a-z]+" deprecated: "use name" }
		attributes { name: "count" type: "int" default_json: "3" min: 1 max: 10 }
		attributes { name: "port" type: "int" min: 0 max: 65535 }
		attributes { name: "ratio" type: "number" }
		attributes { name: "on" type: "bool" }
		attributes { name: "wait" type: "duration" default_json: "\"1s\"" min: 0.01 max: 60 }
		attributes { name: "addr" type: "address" }
		attributes { name: "endpoint" type: "endpoint" }
		attributes { name: "net" type: "prefix" }
		attributes { name: "password" type: "string" secret: true }
		attributes { name: "token" type: "string" secret: true pattern: "t-.*" }
		attributes { name: "codes" type: "list(int)" default_json: "[200]" min: 100 max: 599 }
		attributes { name: "labels" type: "map(string)" pattern: "[a-z]*" }
		attributes { name: "region" type: "string" default_json: "\"eu\"" }
		blocks { name: "tls" doc: "Perhaps." max_items: 1 `+nestedText+` }
		blocks { name: "limits" max_items: 1 `+nestedText+` }
		blocks { name: "rule" min_items: 1 `+nestedText+` }`), want)
	if err != nil {
		t.Fatal(err)
	}
	fields, err := fieldsOf(reflect.TypeFor[everything]())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, schemaOf(fields), protocmp.Transform()); diff != "" {
		t.Errorf("schema (-want +got):\n%s", diff)
	}
}

func TestAConfigurationTypeThatCannotBeIsRefused(t *testing.T) {
	for _, tt := range []struct {
		typ  reflect.Type
		want string
	}{
		{reflect.TypeFor[int](), "a configuration is a struct, not int"},
		{reflect.TypeFor[struct {
			c string `vipward:"c"`
		}](), "a tagged field is exported"},
		{reflect.TypeFor[struct {
			C string `vipward:"c,requierd"`
		}](), `unknown option "requierd"`},
		{reflect.TypeFor[struct {
			C chan int `vipward:"c"`
		}](), "chan int is no type of an attribute"},
		{reflect.TypeFor[struct {
			C nested `vipward:"c"`
		}](), "a struct needs the option block"},
		{reflect.TypeFor[struct {
			A int `vipward:"c"`
			B int `vipward:"c"`
		}](), `the name "c" is taken`},
		{reflect.TypeFor[struct {
			C time.Duration `vipward:"c" default:"10"`
		}](), `default "10"`},
		{reflect.TypeFor[struct {
			C string `vipward:"c" pattern:"("`
		}](), "pattern"},
		{reflect.TypeFor[struct {
			C map[int]string `vipward:"c"`
		}](), "the keys of a map are strings"},
		{reflect.TypeFor[struct{ *nested }](), "embed the struct, not a pointer to it"},
	} {
		if _, err := fieldsOf(tt.typ); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: %v, want %q", tt.typ, err, tt.want)
		}
	}
}

func TestAConfigurationIsDecodedOverItsDefaults(t *testing.T) {
	got, err := decodeConfig[everything]([]byte(`{
		"name": "n", "count": "7", "port": 80, "ratio": 0.5, "on": true, "wait": "250ms", "addr": "10.0.0.1",
		"endpoint": "[2001:db8::1]:80", "net": "10.0.0.0/8", "password": "geheim", "token": "t-1", "labels": {"a": "b"},
		"mode": null, "region": "us", "tls": {"max": 2}, "rule": [{"file": "/a"}, {}]}`))
	if err != nil {
		t.Fatal(err)
	}
	want := &everything{
		Name: "n", Mode: "fast", Count: 7, Port: 80, Ratio: 0.5, On: true, Wait: 250 * time.Millisecond,
		Addr: netip.MustParseAddr("10.0.0.1"), Endpoint: netip.MustParseAddrPort("[2001:db8::1]:80"), Net: netip.MustParsePrefix("10.0.0.0/8"),
		Password: "geheim", Token: "t-1", Codes: []int{200}, Labels: map[string]string{"a": "b"},
		TLS: &nested{File: "/etc/file", Max: 2}, Limits: nested{File: "/etc/file"}, Rules: []nested{{File: "/a"}, {File: "/etc/file"}},
		common: common{Region: "us"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("decoded %+v, want %+v", got, want)
	}
}

func TestEveryFaultOfAConfigurationIsFoundAtItsPlace(t *testing.T) {
	for _, tt := range []struct{ name, config, want string }{
		{"nothing", ``, "name: required | rule: required"},
		{"no object", `[1]`, "not an object"},
		{
			"unknown names, at the top and in a block", `{"name":"n","nam":1,"rule":[{"fil":1}]}`,
			"rule[0].fil: no such attribute or block | nam: no such attribute or block",
		},
		{
			"values of other types", `{"name":["a"],"count":"x","port":70000,"wait":5,"addr":"nine","on":"maybe","rule":[{"max":1.5}]}`,
			`name: not a text | count: "x" is no int | port: "70000" is no uint16 | on: "maybe" is no bool | ` +
				`wait: "5" is no duration: write a number with a unit, as "1s" or "250ms" | ` +
				`addr: ParseAddr("nine"): unable to parse IP | rule[0].max: "1.5" is no int`,
		},
		{
			"values out of bounds", `{"name":"n","mode":"slo","code":"A","count":11,"wait":"1h","codes":[200,700],"labels":{"x":"B"},"rule":[{},{"max":6}]}`,
			`mode: "slo" is not one of fast, slow | code: "A" does not match [a-z]+ | count: 11 is out of range: 1 to 10 | ` +
				`wait: 1h0m0s is out of range: 10ms to 1m0s | codes[1]: 700 is out of range: 100 to 599 | ` +
				`labels.x: "B" does not match [a-z]* | rule[1].max: 6 is out of range: at most 5`,
		},
		{"a secret is not shown", `{"name":"n","token":"geheim","rule":[{}]}`, `token: "***" does not match t-.*`},
	} {
		_, err := decodeConfig[everything]([]byte(tt.config))
		var got []string
		for _, e := range faults(err) {
			got = append(got, e.Error())
		}
		if s := strings.Join(got, " | "); s != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, s, tt.want)
		}
	}
}

type validated struct {
	Status []string `vipward:"status"`
}

func (v *validated) Validate() error {
	return errors.Join(
		PathError(errors.New("out of range"), "status", 1),
		Warning(PathError(errors.New("not here"), "status")),
		errors.New("as a whole"),
	)
}

func TestWhatValidateReturnsBecomesDiagnostics(t *testing.T) {
	_, err := decodeConfig[validated]([]byte(`{}`))
	var got []string
	for _, d := range diagnostics(err) {
		s := d.GetSeverity().String() + " " + d.GetSummary()
		for _, step := range d.GetPath() {
			s += " " + strings.TrimSpace(prototext.MarshalOptions{}.Format(step))
		}
		got = append(got, strings.Join(strings.Fields(s), " "))
	}
	want := []string{`ERROR out of range attribute:"status" index:1`, `WARNING not here attribute:"status"`, "ERROR as a whole"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("diagnostics (-want +got):\n%s", diff)
	}
	if faults := invalid(err); faults == nil || strings.Contains(faults.Error(), "not here") {
		t.Errorf("invalid = %v, want the errors without the warning", faults)
	}
}

func TestAPathInsideAPathIsOnePath(t *testing.T) {
	err := PathError(PathError(errors.New("bad"), 1, "name"), "header")
	if err.Error() != "header[1].name: bad" || PathError(nil, "x") != nil {
		t.Errorf("PathError = %v", err)
	}
}
