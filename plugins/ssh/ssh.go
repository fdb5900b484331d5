// Package ssh is the fencer "ssh": it asks the peer by SSH to let go of its VIPs, and confirms only where the peer says that it has
// none of them and nobody answers for them on the wire. It takes no power away, so it can do nothing about a peer that hangs or is
// out of reach: it is a second level, beside or after a fencer that switches, and never instead of one.
package ssh

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/power"
)

// Config is the block of the fencer.
type Config struct {
	Address   netip.AddrPort `vipward:"address,required" doc:"The peer's SSH server: an address of the peer itself, not one that moves."`
	User      string         `vipward:"user" default:"root" doc:"A user who may stop vipward there."`
	KeyFile   string         `vipward:"key_file,required" doc:"Private key of this node, without a passphrase, as a whole path."`
	HostKey   string         `vipward:"host_key,required" doc:"Public key of the peer's SSH server, as in /etc/ssh/ssh_host_ed25519_key.pub there. Another one is refused."`
	Addresses []netip.Addr   `vipward:"addresses,required" doc:"The VIPs that the peer is to let go of; IPv4."`
	Interface string         `vipward:"interface,required" doc:"Interface of this node on which they are asked for by ARP."`
	Release   string         `vipward:"release" default:"systemctl stop vipward" doc:"Command line that has the peer let go. The peer's shell reads it."`
	List      string         `vipward:"list" default:"ip -o address show" doc:"Command line that lists the peer's addresses, in the form of ip -o address."`
	Poll      time.Duration  `vipward:"poll" default:"500ms" min:"100ms" max:"1m" doc:"Between two looks while a VIP is not free yet."`
}

// Validate refuses what never works, and warns of what is not safe or not on this node.
func (c *Config) Validate() error {
	var faults []error
	if _, err := c.hostKey(); err != nil {
		faults = append(faults, sdk.PathError(err, "host_key"))
	}
	if len(c.Addresses) == 0 {
		faults = append(faults, sdk.PathError(errors.New("name the VIPs: without one nothing could be confirmed"), "addresses"))
	}
	for i, a := range c.Addresses {
		switch {
		case !a.Is4():
			faults = append(faults, sdk.PathError(fmt.Errorf("%v is not IPv4: nobody can be asked for it by ARP", a), "addresses", i))
		case a == c.Address.Addr():
			faults = append(faults, sdk.PathError(errors.New("the peer is to be reached by an address that does not move"), "address"))
		}
	}
	switch info, err := os.Stat(c.KeyFile); {
	case !strings.HasPrefix(c.KeyFile, "/"):
		faults = append(faults, sdk.PathError(fmt.Errorf("%q is no whole path", c.KeyFile), "key_file"))
	case err != nil:
		faults = append(faults, sdk.Warning(sdk.PathError(fmt.Errorf("not on this node: %w", err), "key_file")))
	case info.Mode().Perm()&0o077 != 0:
		faults = append(faults, sdk.Warning(sdk.PathError(fmt.Errorf("others can read the key: chmod 600 %s", c.KeyFile), "key_file")))
	}
	return errors.Join(faults...)
}

// hostKey is the key that the peer must have. What stands before and after the key in a file of public keys does not matter.
func (c *Config) hostKey() (ssh.PublicKey, error) {
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(c.HostKey)) //nolint:dogsled // its form
	if err != nil {
		return nil, errors.New(`no public key; it looks like "ssh-ed25519 AAAA…"`)
	}
	return key, nil
}

// Fencer is the fencer for [sdk.Serve].
func Fencer() sdk.Component {
	return sdk.Fencer("ssh", power.Fence(opener(arpProbe)),
		sdk.Summary("asks the peer by SSH to let go of its VIPs; a second level only: it takes no power away"))
}

// prober asks who has the addresses, on an interface; the answer is who, by address, without those that nobody has.
type prober func(ctx context.Context, iface string, addresses []netip.Addr) (map[netip.Addr]string, error)

// opener makes the function that opens the peer for one call.
func opener(probe prober) func(context.Context, sdk.FenceTarget, Config) (*power.Device, error) {
	return func(ctx context.Context, t sdk.FenceTarget, c Config) (*power.Device, error) {
		client, err := dial(ctx, c)
		if err != nil {
			return nil, err
		}
		p := &peer{node: t.Node, config: c, client: client, probe: probe}
		return &power.Device{
			Name: t.Node, Poll: c.Poll, Read: p.read, Switch: p.release, Reads: p.evidence,
			Ready: func(_ context.Context, to power.State) error {
				if to == power.On {
					return errNoOn
				}
				return nil
			},
			Close: func() { _ = client.Close() }, // it is done with
		}, nil
	}
}

var errNoOn = errors.New("ssh does not give VIPs back: start vipward on the node when it is well again")

// peer is the other node, for one call of the fencer.
type peer struct {
	node   string
	config Config
	client *ssh.Client
	probe  prober
	held   []string // why it is not free, as of the last look
}

// read looks whether the VIPs are free. It takes both: a peer that says so may be wrong about what it answers to, and silence on
// the wire may be that of a cable that is cut.
func (p *peer) read(ctx context.Context) (power.State, error) {
	text, err := run(ctx, p.client, p.config.List)
	if err != nil {
		return "", fmt.Errorf("%s on %s: %w", p.config.List, p.node, err)
	}
	listed, err := addressesIn(text)
	if err != nil {
		return "", fmt.Errorf("%s on %s: %w", p.config.List, p.node, err)
	}
	answered, err := p.probe(ctx, p.config.Interface, p.config.Addresses)
	if err != nil {
		return "", fmt.Errorf("ARP on %s: %w", p.config.Interface, err)
	}
	p.held = nil
	for _, a := range p.config.Addresses {
		switch who := answered[a]; {
		case slices.Contains(listed, a):
			p.held = append(p.held, fmt.Sprintf("%s has %v", p.node, a))
		case who != "":
			p.held = append(p.held, fmt.Sprintf("%s answers for %v on %s", who, a, p.config.Interface))
		}
	}
	if len(p.held) > 0 {
		return power.On, nil
	}
	return power.Off, nil
}

// release has the peer let go.
func (p *peer) release(ctx context.Context, to power.State) error {
	if to != power.Off {
		return power.Refused(errNoOn)
	}
	if _, err := run(ctx, p.client, p.config.Release); err != nil {
		return fmt.Errorf("%s on %s: %w", p.config.Release, p.node, err)
	}
	return nil
}

// evidence says what was seen.
func (p *peer) evidence(s power.State) string {
	if s == power.On {
		return strings.Join(p.held, "; ")
	}
	all := make([]string, len(p.config.Addresses))
	for i, a := range p.config.Addresses {
		all[i] = a.String()
	}
	return fmt.Sprintf("%s has let go and is not powered off: it lists none of %s, and nobody answered %d ARP probes on %s",
		p.node, strings.Join(all, ", "), probes, p.config.Interface)
}

// addressesIn are the addresses in the lines of ip -o address: INDEX: NAME inet ADDRESS/LENGTH …
func addressesIn(text string) ([]netip.Addr, error) {
	var out []netip.Addr
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) < 4 || words[2] != "inet" && words[2] != "inet6" {
			continue
		}
		a, _, _ := strings.Cut(words[3], "/")
		if ip, err := netip.ParseAddr(a); err == nil {
			out = append(out, ip)
		}
	}
	if len(out) == 0 { // not even that of the loopback interface
		return nil, fmt.Errorf("no list of addresses: %q", text[:min(len(text), 80)])
	}
	return out, nil
}
