package examples

import (
	"fmt"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// protocol lists the methods and the fields of the protocol, as Service.Method and Message.field=number.
func protocol() []string {
	var names []string
	file := pluginv1.File_plugin_proto
	for i := range file.Services().Len() {
		s := file.Services().Get(i)
		for j := range s.Methods().Len() {
			names = append(names, fmt.Sprintf("%s.%s", s.Name(), s.Methods().Get(j).Name()))
		}
	}
	for i := range file.Messages().Len() {
		m := file.Messages().Get(i)
		for j := range m.Fields().Len() {
			f := m.Fields().Get(j)
			names = append(names, fmt.Sprintf("%s.%s=%d", m.Name(), f.Name(), f.Number()))
		}
	}
	return names
}
