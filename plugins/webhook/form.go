package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/message"
)

// form is how a service wants to be told. body makes what is sent; nil stands for nothing to send. sign, where it is there, puts a
// signature into the URL. signs says that the service has a signature of its own. judge, where it is there, reads an answer that came
// with a good status.
type form struct {
	body  func(c Config, events []sdk.Event, now time.Time) ([]byte, error)
	sign  func(u *url.URL, secret string, now time.Time) *url.URL
	signs bool
	judge func(host string, answer []byte) error
}

// forms are those that the block may name.
func forms(name string) form {
	switch name {
	case "slack": // https://api.slack.com/messaging/webhooks; a text may have 40,000 characters
		return form{body: text(40_000, func(s string) any { return object{"text": s} })}
	case "teams": // a workflow "when a Teams webhook request is received"; a message may have 28 KB
		return form{body: text(20_000, card)}
	case "dingtalk": // https://open.dingtalk.com/document/robots/custom-robot-access; 20,000 bytes
		return form{body: text(18_000, func(s string) any {
			return object{"msgtype": "text", "text": object{"content": s}}
		}), sign: signDingTalk, signs: true, judge: errcode(130101, -1)}
	case "wecom": // https://developer.work.weixin.qq.com/document/path/91770; a text may have 2,048 bytes
		return form{body: text(2048, func(s string) any {
			return object{"msgtype": "text", "text": object{"content": s}}
		}), judge: errcode(45009, -1)}
	case "feishu": // https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot; a request may have 20 KB
		return form{body: feishu, signs: true, judge: errcode(9499, 11232)}
	case "pagerduty": // https://developer.pagerduty.com/docs/events-api-v2
		return form{body: pagerduty}
	}
	return form{body: plain}
}

// object is one of JSON.
type object map[string]any

// plain is an event as JSON; several are a list, as they are with a batch.
func plain(c Config, events []sdk.Event, _ time.Time) ([]byte, error) {
	if c.Batch > 0 {
		return json.Marshal(events)
	}
	return json.Marshal(events[0])
}

// text is a form that has words only, of at most so many bytes.
func text(limit int, wrap func(string) any) func(Config, []sdk.Event, time.Time) ([]byte, error) {
	return func(_ Config, events []sdk.Event, _ time.Time) ([]byte, error) {
		return json.Marshal(wrap(words(events, limit)))
	}
}

// words are the title and, for several events, a line for each.
func words(events []sdk.Event, limit int) string {
	if len(events) == 1 {
		return cut(events[0].Node+": "+message.Line(events[0]), limit)
	}
	return cut(message.Title(events)+"\n"+message.Text(events), limit)
}

// cut is the beginning of a text that fits into so many bytes.
func cut(s string, limit int) string {
	const more = "…"
	if len(s) <= limit {
		return s
	}
	end := limit - len(more)
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + more
}

// card is a message of Teams with one Adaptive Card.
func card(s string) any {
	return object{"type": "message", "attachments": []object{{
		"contentType": "application/vnd.microsoft.card.adaptive",
		"content": object{
			"$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.2",
			"body": []object{{"type": "TextBlock", "text": s, "wrap": true}},
		},
	}}}
}

// signDingTalk adds the signature of a robot with "additional signature": over the time in milliseconds and the secret.
func signDingTalk(u *url.URL, secret string, now time.Time) *url.URL {
	stamp := strconv.FormatInt(now.UnixMilli(), 10)
	q := u.Query()
	q.Set("timestamp", stamp)
	q.Set("sign", base64.StdEncoding.EncodeToString(mac([]byte(secret), []byte(stamp+"\n"+secret))))
	signed := *u
	signed.RawQuery = q.Encode()
	return &signed
}

// feishu signs in the body, by a key made of the time in seconds and the secret, over nothing.
func feishu(c Config, events []sdk.Event, now time.Time) ([]byte, error) {
	o := object{"msg_type": "text", "content": object{"text": words(events, 18_000)}}
	if c.Secret != "" {
		stamp := strconv.FormatInt(now.Unix(), 10)
		o["timestamp"] = stamp
		o["sign"] = base64.StdEncoding.EncodeToString(mac([]byte(stamp+"\n"+string(c.Secret)), nil))
	}
	return json.Marshal(o)
}

// pagerduty triggers and resolves an alert for each trouble. What is no trouble and ends none is not sent.
func pagerduty(c Config, events []sdk.Event, _ time.Time) ([]byte, error) {
	e := events[0]
	code, firing, lasts := message.Condition(e)
	if !firing && !lasts {
		return nil, nil
	}
	action := "resolve"
	if firing {
		action = "trigger"
	}
	return json.Marshal(object{
		"routing_key": string(c.RoutingKey), "event_action": action,
		"dedup_key": cut(fmt.Sprintf("vipward/%s/%s/%s/%s", e.Node, code, e.Service, e.Subject), 255),
		"payload": object{
			"summary": cut(e.Node+": "+message.Line(e), 1024), "source": e.Node, "severity": e.Severity,
			"timestamp": e.Time.Format(time.RFC3339Nano), "component": e.Subject, "group": e.Service, "class": e.Code, "custom_details": e,
		},
	})
}

// errcode judges the answer of a service that says 200 to everything and tells of failures in a number. Those of busy are to be
// tried again, all others are for good.
func errcode(busy ...int) func(host string, answer []byte) error {
	return func(host string, answer []byte) error {
		var a struct {
			Errcode *int   `json:"errcode"`
			Code    *int   `json:"code"`
			Status  *int   `json:"StatusCode"`
			Errmsg  string `json:"errmsg"`
			Msg     string `json:"msg"`
		}
		if err := json.Unmarshal(answer, &a); err != nil {
			return fmt.Errorf("%s: the answer is not that of the service%s", host, quote(answer))
		}
		for _, n := range []*int{a.Errcode, a.Code, a.Status} {
			if n == nil {
				continue
			}
			err := fmt.Errorf("%s: error %d: %s%s", host, *n, a.Errmsg, a.Msg)
			if *n == 0 {
				return nil
			}
			for _, b := range busy {
				if *n == b {
					return sdk.RetryBecause(err, time.Minute)
				}
			}
			return sdk.Drop(err)
		}
		return fmt.Errorf("%s: the answer is not that of the service%s", host, quote(answer))
	}
}

func mac(key, data []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(data)
	return h.Sum(nil)
}

func hmacHex(key, data []byte) string { return hex.EncodeToString(mac(key, data)) }
