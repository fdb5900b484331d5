// Package fencewebhook is the fencer "webhook": it switches a node off by a request to an HTTP interface, that of a hypervisor, a
// cloud or an outlet, and believes only what another request reads at a place of a JSON answer. It is not the notifier of the same
// name, which is in plugins/webhook.
package fencewebhook

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"text/template"
	"time"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/httpjson"
	"github.com/vipward/vipward/sdk/power"
	"github.com/vipward/vipward/sdk/tlsclient"
)

// Config is the block of the fencer.
type Config struct {
	Headers map[string]sdk.Secret `vipward:"headers" doc:"Headers of every request, and the place for a token. No log shows them."`
	Plugs   map[string]string     `vipward:"plugs" doc:"What the nodes are called there, by the names of the nodes: {{.Plug}}. Without it they are called there as here."`
	Action  string                `vipward:"action" default:"off" one_of:"off,reboot" doc:"With reboot, the request on is made once the node was off."`
	Poll    time.Duration         `vipward:"poll" default:"1s" min:"100ms" max:"1m" doc:"Between two readings while the node is not off yet."`
	Off     Request               `vipward:"off,required,block" doc:"The request that takes the power away."`
	On      *Request              `vipward:"on,block" doc:"The one that gives it back. Without it nothing can be switched on."`
	Status  Reading               `vipward:"status,required,block" doc:"The one that reads how it is, and changes nothing."`
	TLS     *tlsclient.Options    `vipward:"tls,block" doc:"Options of https."`
}

// Request is a block off or on. In url and body {{.Node}} and {{.Plug}} stand for the node, {{json .Plug}} and {{urlquery .Plug}}
// for it as part of a JSON text or of a query.
type Request struct {
	URL    string   `vipward:"url,required" doc:"A template: {{.Node}} and {{.Plug}} stand for the node."`
	Method string   `vipward:"method" default:"POST" pattern:"[A-Z]+" doc:"Method of the request."`
	Body   string   `vipward:"body" doc:"A template as well; {{json .Plug}} is a text in quotes. It is sent as JSON unless headers say otherwise."`
	Status []string `vipward:"status" default:"[\"200-299\"]" doc:"Status codes of success: numbers, and ranges as \"200-299\"."`
}

// Reading is the block status.
type Reading struct {
	URL    string   `vipward:"url,required" doc:"A template as that of off."`
	Method string   `vipward:"method" default:"GET" pattern:"[A-Z]+" doc:"Method of the request."`
	Body   string   `vipward:"body" doc:"A template as well."`
	Status []string `vipward:"status" default:"[\"200-299\"]" doc:"Status codes of an answer that counts."`
	Path   string   `vipward:"path,required" doc:"Where in the JSON answer the state stands: names and numbers from 0, with dots, as servers.0.power_state."`
	Off    []string `vipward:"off,required" doc:"What stands there while the power is off."`
	On     []string `vipward:"on,required" doc:"What stands there while it is on, or on its way. Anything else is unknown."`
}

// Validate refuses what never works.
func (c *Config) Validate() error {
	all := []error{
		sdk.PathError(c.Off.validate(), "off"), sdk.PathError(c.Status.request().validate(), "status"), c.Status.validate(),
	}
	if c.On != nil {
		all = append(all, sdk.PathError(c.On.validate(), "on"))
	}
	if c.Action == "reboot" && c.On == nil {
		all = append(all, sdk.PathError(errors.New(`action = "reboot" needs a block on`), "action"))
	}
	if c.TLS != nil && c.TLS.Insecure {
		all = append(all, sdk.Warning(sdk.PathError(errors.New("whoever answers at this address can say that the node is off"), "tls", "insecure")))
	}
	return errors.Join(append(all, c.TLS.Validate("tls"))...)
}

// validate is the first fault of a request.
func (r *Request) validate() error {
	for _, text := range []struct{ attribute, value string }{{"url", r.URL}, {"body", r.Body}} {
		if _, err := fill(text.value, "node", "plug"); err != nil {
			return sdk.PathError(err, text.attribute)
		}
	}
	filled, _ := fill(r.URL, "node", "plug")
	if u, err := url.Parse(filled); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return sdk.PathError(errors.New("no whole URL of http or https"), "url")
	}
	for i, s := range r.Status {
		if _, _, err := codes(s); err != nil {
			return sdk.PathError(err, "status", i)
		}
	}
	return nil
}

// request is a reading as a request.
func (r *Reading) request() *Request { return &Request{r.URL, r.Method, r.Body, r.Status} }

func (r *Reading) validate() error {
	for i, s := range r.Off {
		if slices.Contains(r.On, s) {
			return sdk.PathError(fmt.Errorf("%q cannot mean off and on", s), "status", "off", i)
		}
	}
	if len(r.Off) == 0 {
		return sdk.PathError(errors.New("nothing stands for off, so nothing could be confirmed"), "status", "off")
	}
	return nil
}

// Fencer is the fencer for [sdk.Serve].
func Fencer() sdk.Component {
	return sdk.Fencer("webhook", power.Fence(open), sdk.Summary("switches a node by requests to an HTTP interface, and reads its state from JSON"))
}

func open(_ context.Context, t sdk.FenceTarget, c Config) (*power.Device, error) {
	plug := t.Node
	if len(c.Plugs) > 0 {
		var ok bool
		if plug, ok = c.Plugs[t.Node]; !ok {
			return nil, fmt.Errorf("plugs does not say what node %q is called there", t.Node)
		}
	}
	config, err := c.TLS.Config()
	if err != nil {
		return nil, err
	}
	client := httpjson.New(config)
	d := &device{config: c, client: client, node: t.Node, plug: plug}
	name := c.Status.Path + " of " + plug
	return &power.Device{
		Name: name, Poll: c.Poll, Reboot: c.Action == "reboot", Close: client.Close,
		Read: d.read, Switch: d.turn, Ready: d.ready,
	}, nil
}

// parsed is a template of the configuration.
func parsed(text string) (*template.Template, error) {
	return template.New("").Option("missingkey=error").Funcs(template.FuncMap{"json": quoted}).Parse(text)
}
