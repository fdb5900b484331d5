// Package witnesshttp is the protocol between the bundled witness http and a witness, which vipward witness speaks and any web
// server may. It holds what travels; it neither listens nor asks.
//
//	POST   /v1/challenge       {"challenge": "…"}: a word that one request may use within 10 s; only where there is a key
//	PUT    /v1/grants/CLAIM    give CLAIM to a node, or renew it
//	DELETE /v1/grants/CLAIM    take it back from a node
//
// The body of PUT and DELETE is a [Request], that of each answer an [Answer]. The status is 200 where the node has the grant (after
// DELETE: has it no more), 409 where another node has it, and anything else where there is no answer: 503 while the witness must
// not grant anything yet. A grant begins when the request comes, so that it never ends before the asker thinks so.
//
// With a key, both are signed in the header [SignatureHeader]: the request over its method, path and body, the answer over the
// signature of its request, its status and its body. Neither depends on a clock.
package witnesshttp

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"strconv"
)

// SignatureHeader has the signature, HMAC-SHA256 in hexadecimal.
const SignatureHeader = "Vipward-Signature"

// MaxBody is the largest body of a request or answer, in bytes.
const MaxBody = 4096

// The paths.
const (
	ChallengePath = "/v1/challenge"
	grantsPath    = "/v1/grants/"
)

// Path is that of a claim.
func Path(claim string) string { return grantsPath + url.PathEscape(claim) }

// Request is the body of PUT and DELETE.
type Request struct {
	// Node that asks.
	Node string `json:"node"`
	// TTLMS is how long the grant is to last, in milliseconds; of a DELETE it does not count.
	TTLMS int64 `json:"ttl_ms"`
	// Challenge is the witness's word, Nonce one that the asker has made up; both empty without a key.
	Challenge string `json:"challenge,omitempty"`
	Nonce     string `json:"nonce,omitempty"`
}

// Answer is the body of an answer.
type Answer struct {
	// Holder has the grant; empty for nobody.
	Holder string `json:"holder"`
	// LeftMS is what is left of it, in milliseconds.
	LeftMS int64 `json:"left_ms"`
	// Error says why there is no answer.
	Error string `json:"error,omitempty"`
	// Challenge is the answer to POST.
	Challenge string `json:"challenge,omitempty"`
}

// SignRequest is the signature of a request.
func SignRequest(key []byte, method, path string, body []byte) string {
	return sign(key, []byte(method), []byte(path), body)
}

// SignAnswer is the signature of the answer to a request with that signature.
func SignAnswer(key []byte, request string, status int, body []byte) string {
	return sign(key, []byte(request), []byte(strconv.Itoa(status)), body)
}

// Same compares two signatures, in a time that says nothing about them.
func Same(a, b string) bool { return hmac.Equal([]byte(a), []byte(b)) }

// sign covers each part with its length, so that no two lists of parts look alike.
func sign(key []byte, parts ...[]byte) string {
	h := hmac.New(sha256.New, key)
	for _, p := range parts {
		h.Write([]byte(strconv.Itoa(len(p)) + ":"))
		h.Write(p)
	}
	return hex.EncodeToString(h.Sum(nil))
}
