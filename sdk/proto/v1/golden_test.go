package pluginv1

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"
)

var rewrite = flag.Bool("rewrite", false, "write the golden file anew: only after an addition, which the gate lets pass")

const golden = "testdata/plugin.v1.binpb"

// TestTheProtocolOnlyGains is the gate of version 1: what was ever released stays as it is, on the wire and by name.
func TestTheProtocolOnlyGains(t *testing.T) {
	now := protodesc.ToFileDescriptorProto(File_plugin_proto)
	text, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	var released descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(text, &released); err != nil {
		t.Fatal(err)
	}
	have, want := facts(now), facts(released.GetFile()[0])
	for _, fact := range want {
		if !slices.Contains(have, fact) {
			t.Errorf("of the released protocol is gone or changed: %s", fact)
		}
	}
	if len(want) < 100 {
		t.Errorf("the golden file has only %d facts", len(want))
	}
	if *rewrite && !t.Failed() {
		text, err := proto.MarshalOptions{Deterministic: true}.Marshal(&descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{now}})
		if err == nil {
			err = os.WriteFile(golden, text, 0o644) // a file of the repository
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(have) > len(want) && !*rewrite {
		t.Errorf("the protocol has gained %d facts: go test ./sdk/proto/v1 -rewrite", len(have)-len(want))
	}
}

func TestTheGateSeesWhatWouldBreakAPlugin(t *testing.T) {
	find := func(f *descriptorpb.FileDescriptorProto, name string) *descriptorpb.DescriptorProto {
		return f.MessageType[slices.IndexFunc(f.MessageType, func(m *descriptorpb.DescriptorProto) bool { return m.GetName() == name })]
	}
	for name, harm := range map[string]func(f *descriptorpb.FileDescriptorProto){
		"a field with another number": func(f *descriptorpb.FileDescriptorProto) { find(f, "Result").Field[1].Number = proto.Int32(99) },
		"a field with another name":   func(f *descriptorpb.FileDescriptorProto) { find(f, "Result").Field[1].Name = proto.String("x") },
		"a field that is gone": func(f *descriptorpb.FileDescriptorProto) {
			m := find(f, "Result")
			m.Field = m.Field[1:]
		},
		"a field of another type": func(f *descriptorpb.FileDescriptorProto) {
			find(f, "Assignment").Field[0].Type = descriptorpb.FieldDescriptorProto_TYPE_STRING.Enum()
		},
		"another value of an enum":         func(f *descriptorpb.FileDescriptorProto) { f.EnumType[0].Value[1].Number = proto.Int32(9) },
		"a method that streams no more":    func(f *descriptorpb.FileDescriptorProto) { f.Service[1].Method[0].ServerStreaming = proto.Bool(false) },
		"a service that is called another": func(f *descriptorpb.FileDescriptorProto) { f.Service[0].Name = proto.String("X") },
	} {
		whole := protodesc.ToFileDescriptorProto(File_plugin_proto)
		before := facts(whole)
		harm(whole)
		after := facts(whole)
		if !slices.ContainsFunc(before, func(fact string) bool { return !slices.Contains(after, fact) }) {
			t.Errorf("the gate does not see %s", name)
		}
	}
}

// facts are what a plugin relies on, one a line.
func facts(f *descriptorpb.FileDescriptorProto) []string {
	var out []string
	for _, m := range f.GetMessageType() {
		out = append(out, messageFacts(f.GetPackage()+"."+m.GetName(), m)...)
	}
	for _, e := range f.GetEnumType() {
		out = append(out, enumFacts(f.GetPackage(), e)...)
	}
	for _, s := range f.GetService() {
		for _, m := range s.GetMethod() {
			out = append(out, fmt.Sprintf("rpc /%s.%s/%s(%s stream %v) returns (%s stream %v)", f.GetPackage(), s.GetName(), m.GetName(),
				m.GetInputType(), m.GetClientStreaming(), m.GetOutputType(), m.GetServerStreaming()))
		}
	}
	return out
}

func messageFacts(name string, m *descriptorpb.DescriptorProto) []string {
	out := []string{"message " + name}
	for _, f := range m.GetField() {
		kind := strings.TrimSpace(f.GetType().String() + " " + f.GetTypeName())
		out = append(out, fmt.Sprintf("%s.%s = %d: %s %s, optional %v, in a oneof %v",
			name, f.GetName(), f.GetNumber(), f.GetLabel(), kind, f.GetProto3Optional(), f.OneofIndex != nil))
	}
	for _, n := range m.GetNestedType() {
		out = append(out, messageFacts(name+"."+n.GetName(), n)...)
	}
	for _, e := range m.GetEnumType() {
		out = append(out, enumFacts(name, e)...)
	}
	return out
}

func enumFacts(scope string, e *descriptorpb.EnumDescriptorProto) []string {
	var out []string
	for _, v := range e.GetValue() {
		out = append(out, fmt.Sprintf("enum %s.%s: %s = %d", scope, e.GetName(), v.GetName(), v.GetNumber()))
	}
	return out
}
