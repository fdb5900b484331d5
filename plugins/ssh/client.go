package ssh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/vipward/vipward/sdk/power"
)

// maxOutput bounds what is kept of a command's output.
const maxOutput = 256 << 10

// grace is how long after the end of a call the connection ends by itself.
const grace = time.Second

// dial connects to the peer and makes sure that it is the peer.
func dial(ctx context.Context, c Config) (*ssh.Client, error) {
	host, err := c.hostKey()
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(c.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("read the key: %w", err)
	}
	key, err := ssh.ParsePrivateKey(text)
	if err != nil {
		return nil, fmt.Errorf("%s is no private key without a passphrase: %w", c.KeyFile, err)
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", c.Address.String())
	if err != nil {
		return nil, fmt.Errorf("ssh to %v: %w; a peer that is out of reach may still hold its VIPs", c.Address, err)
	}
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline.Add(grace)); err != nil { // the end of ctx comes first, and says why
			return nil, errors.Join(err, conn.Close())
		}
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) }) // what follows knows no context
	defer stop()
	raw, channels, requests, err := ssh.NewClientConn(conn, c.Address.String(), &ssh.ClientConfig{
		User: c.User, Auth: []ssh.AuthMethod{ssh.PublicKeys(key)},
		HostKeyCallback: ssh.FixedHostKey(host), HostKeyAlgorithms: algorithms(host),
	})
	if err != nil && ctx.Err() != nil {
		return nil, errors.Join(fmt.Errorf("ssh to %v: no answer in time: %w", c.Address, ctx.Err()), closed(conn))
	}
	if err != nil {
		return nil, errors.Join(power.Refused(fmt.Errorf("ssh to %v: %w", c.Address, err)), closed(conn))
	}
	return ssh.NewClient(raw, channels, requests), nil
}

// closed closes a connection that may be closed already.
func closed(conn net.Conn) error {
	if err := conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// algorithms are those by which a server can prove that it has a key: for RSA there are newer ones than the name of the key.
func algorithms(key ssh.PublicKey) []string {
	if key.Type() == ssh.KeyAlgoRSA {
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	}
	return []string{key.Type()}
}

// run runs a command line and returns what it writes to stdout. At the end of ctx it is left alone: the server would wait for its
// end before it lets go of the session, and the connection has another use.
func run(ctx context.Context, client *ssh.Client, line string) (string, error) {
	type result struct {
		stdout, stderr bounded
		err            error
	}
	results := make(chan *result, 1)
	go func() {
		r := new(result)
		r.err = runSession(client, line, &r.stdout, &r.stderr)
		results <- r
	}()
	var r *result
	select {
	case r = <-results:
	case <-ctx.Done():
		return "", fmt.Errorf("no end in time: %w", ctx.Err())
	}
	if r.err == nil {
		return r.stdout.String(), nil
	}
	said, err := strings.TrimSpace(r.stderr.String()), r.err
	if exit := (*ssh.ExitError)(nil); errors.As(err, &exit) {
		err = fmt.Errorf("exit status %d", exit.ExitStatus())
	}
	if said != "" {
		return "", fmt.Errorf("%w: %s", err, said[strings.LastIndexByte(said, '\n')+1:])
	}
	return "", err
}

// runSession waits for the end of the command, or of the connection.
func runSession(client *ssh.Client, line string, stdout, stderr io.Writer) error {
	session, err := client.NewSession()
	if err != nil {
		return err
	}
	defer session.Close()
	session.Stdout, session.Stderr = stdout, stderr
	return session.Run(line)
}

// bounded keeps the first bytes of what is written and swallows the rest.
type bounded struct{ bytes.Buffer }

// Write never fails.
func (b *bounded) Write(p []byte) (int, error) {
	b.Buffer.Write(p[:min(len(p), max(maxOutput-b.Len(), 0))])
	return len(p), nil
}
