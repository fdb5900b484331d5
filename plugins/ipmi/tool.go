package ipmi

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/vipward/vipward/sdk/command"
	"github.com/vipward/vipward/sdk/power"
)

// passwordFile is the first of the extra files of a process: the pipe that the password is read from.
const passwordFile = "/dev/fd/3"

// ipmitool runs the program of this name for one call of the fencer.
type ipmitool struct {
	config Config
	suite  int // index of the cipher suite that is in use
}

// read is `chassis power status`.
func (i *ipmitool) read(ctx context.Context) (power.State, error) {
	out, err := i.run(ctx, "chassis", "power", "status")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(out) {
		if state, ok := strings.CutPrefix(strings.TrimSpace(line), "Chassis Power is "); ok {
			return power.State(state), nil
		}
	}
	return "", fmt.Errorf("ipmitool says %q instead of the power's state", out)
}

// turn is `chassis power off` (at once, without the operating system) or on.
func (i *ipmitool) turn(ctx context.Context, to power.State) error {
	_, err := i.run(ctx, "chassis", "power", string(to))
	return err
}

// run runs one command, and again with the next cipher suite where the controller does not know the one before.
func (i *ipmitool) run(ctx context.Context, args ...string) (string, error) {
	for {
		out, err := i.once(ctx, args)
		switch {
		case !errors.As(err, new(*unknownSuite)):
			return out, err
		case i.suite+1 == len(i.config.CipherSuites):
			return "", power.Refused(err)
		}
		i.suite++
	}
}

// once runs one command with the cipher suite in use.
func (i *ipmitool) once(ctx context.Context, args []string) (string, error) {
	c := i.config
	suite := strconv.Itoa(c.CipherSuites[i.suite])
	argv := []string{
		c.Tool, "-I", "lanplus", "-H", c.Address.Addr().String(), "-p", strconv.Itoa(int(c.Address.Port())), "-U", c.User,
		"-L", strings.ToUpper(c.Privilege), "-C", suite, "-N", "1", "-R", "3", "-v", "-f", passwordFile,
	}
	cmd, err := command.New(ctx, append(argv, args...))
	if err != nil {
		return "", err
	}
	password, err := pipe(string(c.Password))
	if err != nil {
		return "", err
	}
	defer password.Close()
	var stdout, stderr command.Output
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = &stdout, &stderr, []*os.File{password}
	err = command.RunGroup(cmd)
	if err != nil && ctx.Err() != nil {
		return "", fmt.Errorf("%s does not answer: %w", c.Address, ctx.Err())
	}
	if err != nil {
		return "", i.complaint(err, suite, stderr.String())
	}
	return strings.TrimSpace(stdout.String()), nil
}

// pipe is a pipe with a text in it, which is short enough for the pipe to hold.
func pipe(text string) (*os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer w.Close()
	if _, err := w.WriteString(text + "\n"); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// unknownSuite says that the controller does not know a cipher suite.
type unknownSuite struct{ suite, said string }

func (e *unknownSuite) Error() string {
	return fmt.Sprintf("the controller does not know cipher suite %s (it says: %s)", e.suite, e.said)
}

// complaint is an error of ipmitool in the operator's words.
func (i *ipmitool) complaint(err error, suite, said string) error {
	c, line := i.config, telling(said)
	_, reply, opened := strings.Cut(line, "open session response message : ")
	switch {
	case opened && (strings.Contains(reply, "algorithm") || strings.Contains(reply, "cipher suite")):
		return &unknownSuite{suite, strings.TrimSpace(reply)}
	case strings.Contains(line, "Insufficient privilege level"):
		return power.Refused(fmt.Errorf("user %q may not do this at %s with the privilege %s", c.User, c.Address, c.Privilege))
	case strings.Contains(line, "HMAC is invalid"):
		return power.Refused(fmt.Errorf("wrong password of user %q at %s", c.User, c.Address))
	case strings.Contains(line, "RAKP"), strings.Contains(line, "Set Session Privilege Level"):
		return power.Refused(fmt.Errorf("%s does not let user %q in with the privilege %s: %s", c.Address, c.User, c.Privilege, line))
	case strings.Contains(line, "Unable to establish"), strings.Contains(line, "Get Channel Authentication Capabilities"),
		strings.Contains(line, "Get Auth Capabilities"):
		return fmt.Errorf("%s does not answer", c.Address)
	case line != "":
		return fmt.Errorf("ipmitool: %w: %s", err, line)
	}
	return fmt.Errorf("ipmitool: %w", err)
}

// telling is the line of what ipmitool -v says that tells most: it says much, and not the most important thing first.
func telling(said string) string {
	lines := strings.Split(strings.TrimSpace(said), "\n")
	for _, part := range []string{"RAKP", "open session response", "Set Session Privilege Level", "failed: ", "Error"} {
		for _, line := range lines {
			if strings.Contains(line, part) {
				return strings.TrimPrefix(strings.TrimSpace(line), "> ")
			}
		}
	}
	return strings.TrimSpace(lines[len(lines)-1])
}
