package main

import (
	"context"
	"crypto/md5" // a fingerprint of a page, not a signature; keepalived's configurations have it
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"
)

// maxPage is as much of a page as is read; a check does not read more either.
const maxPage = 1 << 20

// digestOptions are the flags of `vipward digest`.
type digestOptions struct {
	algorithm, host string
	insecure        bool
	timeout         time.Duration
}

// newDigestCommand is `vipward digest`.
func newDigestCommand(g *globals) *cobra.Command {
	var o digestOptions
	c := &cobra.Command{
		Use:   "digest URL",
		Short: "Print the digest of a page, for an http check",
		Long: "Get a page as an http check does and print the digest of its body: for `digest` of a check \"http\".\n" +
			"It does what keepalived's genhash does, and needs no daemon.",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			d, err := o.digest(c.Context(), args[0])
			if err != nil {
				return err
			}
			if d.Status != http.StatusOK {
				c.PrintErrf("warning: the status is %d; a check expects 200 unless its `status` says otherwise\n", d.Status)
			}
			if g.json {
				return json.NewEncoder(c.OutOrStdout()).Encode(d)
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), d.Digest)
			return err
		},
	}
	c.Flags().StringVar(&o.algorithm, "algorithm", "md5", "md5 or sha256")
	c.Flags().StringVar(&o.host, "host", "", "name of the virtual host (that of the URL)")
	c.Flags().BoolVar(&o.insecure, "insecure", false, "accept any certificate")
	c.Flags().DurationVar(&o.timeout, "timeout", 10*time.Second, "time limit")
	return c
}

// pageDigest is the digest of one page.
type pageDigest struct {
	URL       string `json:"url"`
	Algorithm string `json:"algorithm"`
	Digest    string `json:"digest"`
	Status    int    `json:"status"`
	// Bytes is the length of the body.
	Bytes int64 `json:"bytes"`
}

func (o digestOptions) digest(ctx context.Context, page string) (pageDigest, error) {
	sum, err := o.hash()
	if err != nil {
		return pageDigest{}, err
	}
	u, err := url.Parse(page)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return pageDigest{}, usageError(fmt.Errorf("%q is no URL such as http://10.0.0.1:80/index.html", page))
	}
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	resp, err := o.get(ctx, u)
	if err != nil {
		return pageDigest{}, timedOut(err)
	}
	defer func() { _ = resp.Body.Close() }()
	n, err := io.Copy(sum, io.LimitReader(resp.Body, maxPage+1))
	switch {
	case err != nil:
		return pageDigest{}, timedOut(fmt.Errorf("read %s: %w", page, err))
	case n > maxPage:
		return pageDigest{}, fmt.Errorf("read %s: the body is longer than the %d bytes that a check reads", page, maxPage)
	}
	return pageDigest{URL: page, Algorithm: o.algorithm, Digest: hex.EncodeToString(sum.Sum(nil)), Status: resp.StatusCode, Bytes: n}, nil
}

func (o digestOptions) hash() (hash.Hash, error) {
	switch o.algorithm {
	case "md5":
		return md5.New(), nil // see above
	case "sha256":
		return sha256.New(), nil
	}
	return nil, usageError(fmt.Errorf("--algorithm is md5 or sha256, not %q", o.algorithm))
}

// get asks once, as a check does: no proxy of the environment, no redirect followed.
func (o digestOptions) get(ctx context.Context, u *url.URL) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "vipward")
	config := &tls.Config{InsecureSkipVerify: o.insecure} // the operator's choice
	if o.host != "" {
		req.Host, config.ServerName = o.host, o.host
	}
	c := http.Client{
		Transport:     &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true, DisableKeepAlives: true, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c.Do(req)
}

// timedOut gives an error of the time limit its exit code.
func timedOut(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return &exitError{exitTimedOut, err}
	}
	return err
}
