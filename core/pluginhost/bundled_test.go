package pluginhost

import (
	"encoding/json"
	"maps"
	"testing"

	"github.com/vipward/vipward/core/config"
	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// A secret lies in a file that only root can read, and the plugin that is told of it is not root.
func TestAPluginMayReadTheSecretThatItsBlockNames(t *testing.T) {
	uses := Uses(&config.Config{
		Witnesses: []config.Witness{{Kind: "http", Config: json.RawMessage(`{"url":"http://10.9.0.5:9116","key_file":"/etc/vipward/witness.key"}`)}},
		Fencers:   []config.Fencer{{Kind: "webhook", Config: json.RawMessage(`{"url":"http://10.9.0.5"}`)}},
	})
	uses = append(uses, Use{pluginv1.Kind_WITNESS, "consul", json.RawMessage(`{"token_file":"/etc/vipward/token"}`)})
	notifiers := []config.Notifier{
		{Kind: "mail", Config: json.RawMessage(`{"password_file":"/etc/vipward/mail.password"}`)},
		{Kind: "syslog", Config: json.RawMessage(`{"password_file":""}`)},
	}
	got := extraOf([]config.Check{{Kind: "tcp", Mark: 7}, {Kind: "dns"}}, notifiers, uses)
	maps.DeleteFunc(got, func(_ string, c capabilities) bool { return c == 0 })
	want := map[string]capabilities{"http": dacReadSearch, "consul": dacReadSearch, "mail": dacReadSearch, "tcp": netAdmin}
	if !maps.Equal(got, want) {
		t.Errorf("they get %v, want %v", got, want)
	}
}
