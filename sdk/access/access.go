// Package access is what checkers of services with a login share: where to connect to, the password, TLS, and the words for
// what goes wrong on the way. It is not for HTTP, for which [sdk.Target] has a client.
package access

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/vipward/vipward/sdk"
)

// maxPassword is how much of a password file is read, in bytes.
const maxPassword = 4096

// Place is where a check connects to.
type Place struct {
	Network string // "tcp" or "unix"
	Address string // HOST:PORT, or the path of a socket
	Host    string // of Address, as its certificate should name it; empty for a socket
}

// PlaceOf is the target's address, with port instead of its own where port is not 0. A check of the node itself has none and
// goes to address: a host, with or without a port, or the absolute path of a socket. standard is the port of the service,
// where none is said.
func PlaceOf(t sdk.Target, address string, port, standard uint16) (Place, error) {
	if t.Address.IsValid() {
		own := t.Address.Port()
		switch {
		case port != 0:
			own = port
		case own == 0:
			own = standard
		}
		return Place{"tcp", netip.AddrPortFrom(t.Address.Addr(), own).String(), t.Address.Addr().String()}, nil
	}
	if address == "" {
		return Place{}, errors.New("a check of the node itself needs address")
	}
	if strings.HasPrefix(address, "/") {
		return Place{Network: "unix", Address: address}, nil
	}
	host, own, err := split(address)
	if err != nil {
		return Place{}, err
	}
	if port != 0 {
		own = strconv.Itoa(int(port))
	} else if own == "" {
		own = strconv.Itoa(int(standard))
	}
	return Place{"tcp", net.JoinHostPort(host, own), host}, nil
}

// CheckAddress says what is wrong with the attribute address; nothing where it is empty.
func CheckAddress(address string) error {
	if address == "" || strings.HasPrefix(address, "/") {
		return nil
	}
	_, _, err := split(address)
	return err
}

// split takes a host and perhaps its port apart.
func split(address string) (host, port string, err error) {
	if ip, err := netip.ParseAddr(strings.Trim(address, "[]")); err == nil {
		return ip.String(), "", nil
	}
	host, port = address, ""
	if strings.Contains(address, ":") {
		if host, port, err = net.SplitHostPort(address); err != nil {
			return "", "", fmt.Errorf(`%q is no address: write "HOST", "HOST:PORT" or the absolute path of a socket`, address)
		}
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return "", "", fmt.Errorf("the port of %q is no number from 1 to 65535", address)
		}
	}
	if host == "" || strings.ContainsAny(host, " /\t\r\n") {
		return "", "", fmt.Errorf("%q has no host", address)
	}
	return host, port, nil
}

// Password is [Secret] of the attributes password and password_file.
func Password(password sdk.Secret, file string) (string, error) {
	return Secret("password_file", password, file)
}

// Secret is what the file holds, without the end of its line, or where none is named the value itself. The file is read at each call,
// so that a new secret needs no reload. Its error names the attribute of the file, and never holds what is in it.
func Secret(attribute string, value sdk.Secret, file string) (string, error) {
	if file == "" {
		return string(value), nil
	}
	f, err := os.Open(file)
	if err != nil {
		return "", fmt.Errorf("%s: %w", attribute, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxPassword+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("%s: %w", attribute, err)
	case len(text) > maxPassword:
		return "", fmt.Errorf("%s: %s is longer than %d bytes", attribute, file, maxPassword)
	}
	return strings.TrimRight(string(text), "\r\n"), nil
}

// CheckPassword points at a password that is said twice.
func CheckPassword(password sdk.Secret, file string) error {
	if password != "" && file != "" {
		return sdk.PathError(errors.New("password and password_file exclude each other"), "password_file")
	}
	return nil
}

// Unreachable is the result where no connection came about: a name that does not resolve and other troubles of this node
// ([sdk.Local]) say nothing about the target, all else is its failure.
func Unreachable(err error) sdk.Result {
	if e := (*net.DNSError)(nil); errors.As(err, &e) {
		return sdk.Errorf("the name %s does not resolve: %s", e.Name, e.Err)
	}
	return sdk.Fail(err)
}

// Words are an error of a connection as an operator reads it: a deadline and a connection that the server closed are told in
// the same words everywhere.
func Words(err error) string {
	if e := (*net.OpError)(nil); errors.As(err, &e) && e.Op == "dial" {
		return e.Error() // it says whereto, and what came of it
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return "no answer in time"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "the server closed the connection"
	}
	if e := (*net.OpError)(nil); errors.As(err, &e) {
		if n := syscall.Errno(0); errors.As(e, &n) {
			return n.Error() // without the addresses of both ends, of which one is another in each run
		}
	}
	return err.Error()
}
