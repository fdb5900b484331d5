// Package witnesshttp is the bundled witness http: it asks a vipward witness, or any server that speaks its protocol, which node
// may hold something.
package witnesshttp

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/access"
	"github.com/vipward/vipward/sdk/httpjson"
	"github.com/vipward/vipward/sdk/tlsclient"
	"github.com/vipward/vipward/sdk/witnesshttp"
)

// Config is the block of the witness.
type Config struct {
	URL     string             `vipward:"url,required" doc:"Where it listens, like http://10.9.0.5:9116."`
	Key     sdk.Secret         `vipward:"key" doc:"Key that both sides sign with. Without one, whoever reaches the witness can take a grant."`
	KeyFile string             `vipward:"key_file" doc:"File that holds the key; read for each call."`
	TLS     *tlsclient.Options `vipward:"tls,block" doc:"How https is spoken."`

	tls *tls.Config
}

// Component is the witness.
func Component() sdk.Component {
	return sdk.WitnessOf("http", functions(), sdk.Summary("asks a vipward witness, or a server that speaks its protocol, over HTTP"))
}

func functions() sdk.Witness[Config] {
	by := func(method string) func(context.Context, sdk.Claim, Config) sdk.Grant {
		return func(ctx context.Context, c sdk.Claim, cfg Config) sdk.Grant { return cfg.ask(ctx, method, c) }
	}
	return sdk.Witness[Config]{Acquire: by(http.MethodPut), Release: by(http.MethodDelete)}
}

// Validate reports what the tags cannot.
func (c *Config) Validate() error {
	var one error
	if c.Key != "" && c.KeyFile != "" {
		one = errors.New("key and key_file exclude each other")
	}
	return errors.Join(sdk.PathError(httpjson.CheckURL(c.URL), "url"), sdk.PathError(one, "key_file"), c.TLS.Validate("tls"))
}

// Open reads the certificates.
func (c *Config) Open(context.Context) (err error) {
	c.tls, err = c.TLS.Config()
	return err
}

// ask makes one request, and one before for its challenge where there is a key.
func (c *Config) ask(ctx context.Context, method string, claim sdk.Claim) sdk.Grant {
	key, err := access.Secret("key_file", c.Key, c.KeyFile)
	if err != nil {
		return sdk.Unanswered(err)
	}
	client := httpjson.New(c.tls)
	defer client.Close()
	q := witnesshttp.Request{Node: claim.Node, TTLMS: claim.TTL.Milliseconds()}
	base := strings.TrimRight(c.URL, "/")
	if key != "" {
		var a witnesshttp.Answer
		if err := client.Call(ctx, http.MethodPost, base+witnesshttp.ChallengePath, nil, &a); err != nil {
			return sdk.Unanswered(fmt.Errorf("ask for a challenge: %w", err))
		}
		q.Challenge, q.Nonce = a.Challenge, rand.Text()
	}
	body, err := json.Marshal(q)
	if err != nil {
		return sdk.Unanswered(err)
	}
	path := witnesshttp.Path(claim.Name)
	header, signature := http.Header{}, ""
	if key != "" {
		signature = witnesshttp.SignRequest([]byte(key), method, path, body)
		header.Set(witnesshttp.SignatureHeader, signature)
	}
	a, err := client.Do(ctx, method, base+path, body, header)
	if err != nil {
		return sdk.Unanswered(err)
	}
	if key != "" && !witnesshttp.Same(a.Header.Get(witnesshttp.SignatureHeader), witnesshttp.SignAnswer([]byte(key), signature, a.Status, a.Body)) {
		return sdk.Unanswered(errors.New("the answer is not signed with the key: the witness has another one, or it is not the witness"))
	}
	return judge(a)
}

// judge reads an answer. A refusal without a holder is none: who refuses knows whom for.
func judge(a *httpjson.Answer) sdk.Grant {
	var said witnesshttp.Answer
	err := json.Unmarshal(a.Body, &said)
	switch {
	case a.Status == http.StatusOK && err == nil:
		return sdk.Granted()
	case a.Status == http.StatusConflict && err == nil && said.Holder != "":
		return sdk.Refused(said.Holder)
	case err == nil && said.Error != "":
		return sdk.Unanswered(errors.New(said.Error))
	}
	return sdk.Unanswered(a.Error())
}
