package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/kernel"
)

// newRealServerCommand is `vipward realserver`, the parent of what is done on a real server.
func newRealServerCommand(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use: "realserver", Short: "On a real server: have it take packets for the VIPs, by direct routing or through a tunnel",
		Long: "On a real server, where no daemon runs: have its kernel take packets for the VIPs, and tell none of its neighbours\n" +
			"that they are here. A real server behind NAT needs none of this, but its way back to the clients by the director.",
		Args: noSuchCommand,
		RunE: needsCommand,
	}
	c.AddCommand(newRealServerSetupCommand(g), newRealServerCheckCommand(g), newRealServerRemoveCommand(g))
	return c
}

func newRealServerSetupCommand(g *globals) *cobra.Command {
	var o realServerOptions
	c := &cobra.Command{
		Use:   "setup --vip ADDRESS[,ADDRESS...]",
		Short: "Put the VIPs on lo, keep quiet about them, open the tunnels",
		Long: "Put the VIPs on lo as /32 or /128, set arp_ignore = 1 and arp_announce = 2, open the ends of tunnels and take the strict\n" +
			"rp_filter from them; and do so at each start of the machine, by the unit vipward-realserver.service. What is there already\n" +
			"stays as it is; called again it changes nothing, and with other VIPs those take the place of the former ones.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			r, err := o.wish()
			if err != nil {
				return err
			}
			if len(r.VIPs) == 0 {
				return usageError(errors.New("there is no VIP to set up; name them with --vip 10.0.0.100,2001:db8::100"))
			}
			return o.setUp(c.OutOrStdout(), g, r)
		},
	}
	o.flags(c)
	o.wishFlags(c)
	return c
}

func newRealServerCheckCommand(g *globals) *cobra.Command {
	var o realServerOptions
	c := &cobra.Command{
		Use:   "check [--vip ADDRESS[,ADDRESS...]]",
		Short: "Tell what keeps this server from taking packets for the VIPs",
		Long: "Tell what keeps this server from taking packets for the VIPs, each with the command that mends it, whoever has set it up.\n" +
			"Without --vip it is what setup was last told here. It changes nothing. It ends with 0 where all is well, else with 1.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return o.check(c.OutOrStdout(), g) },
	}
	o.flags(c)
	o.wishFlags(c)
	return c
}

func newRealServerRemoveCommand(g *globals) *cobra.Command {
	var o realServerOptions
	c := &cobra.Command{
		Use:   "remove [--vip ADDRESS[,ADDRESS...]]",
		Short: "Undo what setup has done",
		Long: "Undo what setup has done, for these VIPs or for all: addresses that it has added, devices and ports that it has opened;\n" +
			"sysctls get the values that they had before. What was there before setup stays.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return o.remove(c.OutOrStdout(), g) },
	}
	o.flags(c)
	return c
}

// realServerOptions are the flags of the commands on a real server.
type realServerOptions struct {
	vips, tunnels    []string
	method, on, root string
	port             uint16
	noPersist        bool
}

func (o *realServerOptions) flags(c *cobra.Command) {
	c.Flags().StringSliceVar(&o.vips, "vip", nil, "`addresses` of either family (repeatable)")
	c.Flags().StringVar(&o.root, "root", "/", "`directory` below which files are written")
}

func (o *realServerOptions) wishFlags(c *cobra.Command) {
	c.Flags().StringVar(&o.method, "method", "dr", "how packets come: dr or tun")
	c.Flags().StringSliceVar(&o.tunnels, "tunnel", []string{kernel.IPIP}, "with tun, what they are wrapped in: ipip, gue, gre (repeatable)")
	c.Flags().Uint16Var(&o.port, "port", 6080, "UDP `port` that gue comes to")
	c.Flags().StringVar(&o.on, "interface", "lo", "`interface` to put the VIPs on, one by which no packet leaves")
	c.Flags().BoolVar(&o.noPersist, "no-persist", false, "until the next start of the machine only: without the unit")
}

// wish is what the flags ask for.
func (o *realServerOptions) wish() (kernel.RealServer, error) {
	r := kernel.RealServer{Interface: o.on, Tunnels: []string{}}
	var err error
	if r.VIPs, err = o.addresses(); err != nil {
		return r, err
	}
	switch o.method {
	case "dr":
	case "tun":
		r.Tunnels = slices.Compact(slices.Sorted(slices.Values(o.tunnels)))
	default:
		return r, usageError(fmt.Errorf("--method is dr or tun, not %q; a server behind NAT needs no VIP", o.method))
	}
	for _, t := range r.Tunnels {
		if !slices.Contains([]string{kernel.IPIP, desired.GUE, desired.GRE}, t) {
			return r, usageError(fmt.Errorf("--tunnel is ipip, gue or gre, not %q", t))
		}
	}
	if slices.Contains(r.Tunnels, desired.GUE) {
		if r.Port = o.port; r.Port == 0 {
			return r, usageError(errors.New("--port is 1 to 65535, as the tunnel's in the configuration of the directors"))
		}
	}
	return r, nil
}

// addresses are the VIPs, in order and each once.
func (o *realServerOptions) addresses() ([]netip.Addr, error) {
	var list []netip.Addr
	for _, text := range o.vips {
		a, err := netip.ParseAddr(text)
		if err != nil || a.Zone() != "" || a.IsLoopback() || a.IsMulticast() || a.IsUnspecified() {
			return nil, usageError(fmt.Errorf("--vip %s is no address such as 10.0.0.100 or 2001:db8::100, without a prefix length", text))
		}
		list = append(list, a.Unmap())
	}
	slices.SortFunc(list, netip.Addr.Compare)
	return slices.Compact(list), nil
}

// record is the directory of what setup remembers; it goes with the kernel's state.
func (o *realServerOptions) record() string { return filepath.Join(o.root, "run/vipward-realserver") }

// setUp has the kernel hold r, and nothing where that has no VIPs.
func (o *realServerOptions) setUp(w io.Writer, g *globals, r kernel.RealServer) error {
	changed, err := r.SetUp(o.record())
	if errors.Is(err, syscall.EPERM) {
		err = fmt.Errorf("%w; this needs root, or CAP_NET_ADMIN", err)
	}
	if err == nil && (len(r.VIPs) == 0 || !o.noPersist) {
		var written []string
		written, err = realServerUnit{o.root, r}.keep()
		changed = append(changed, written...)
	}
	if g.json {
		return errors.Join(err, writeJSON(w, struct {
			kernel.RealServer
			Changed []string `json:"changed"`
		}{r, slices.Concat([]string{}, changed)}))
	}
	for _, line := range changed {
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	if err == nil && len(changed) == 0 {
		_, err = fmt.Fprintln(w, "nothing to do")
	}
	return err
}

func (o *realServerOptions) check(w io.Writer, g *globals) error {
	r, err := o.wish()
	if err == nil && len(r.VIPs) == 0 {
		if r, err = kernel.RealServerSetUp(o.record()); err == nil && len(r.VIPs) == 0 {
			err = usageError(errors.New("setup has not run since this machine has started; say what to look for with --vip"))
		}
	}
	if err != nil {
		return err
	}
	faults, err := r.Check()
	if err != nil {
		return err
	}
	if !o.noPersist {
		faults = append(faults, realServerUnit{o.root, r}.check()...)
	}
	if g.json {
		err = writeJSON(w, struct {
			kernel.RealServer
			OK     bool           `json:"ok"`
			Faults []kernel.Fault `json:"faults"`
		}{r, len(faults) == 0, slices.Concat([]kernel.Fault{}, faults)})
	} else {
		err = showFaults(w, r, faults)
	}
	if err == nil && len(faults) > 0 {
		return &exitError{code: exitFailed}
	}
	return err
}

func showFaults(w io.Writer, r kernel.RealServer, faults []kernel.Fault) error {
	for _, f := range faults {
		if _, err := fmt.Fprintf(w, "%s. Mend it by: %s\n", f.Problem, f.Mend); err != nil {
			return err
		}
	}
	if len(faults) > 0 {
		return nil
	}
	_, err := fmt.Fprintf(w, "ok: this server takes packets for %s\n", strings.Join(addressTexts(r.VIPs), ", "))
	return err
}

func (o *realServerOptions) remove(w io.Writer, g *globals) error {
	gone, err := o.addresses()
	if err != nil {
		return err
	}
	r, err := kernel.RealServerSetUp(o.record())
	if err != nil {
		return err
	}
	for _, a := range gone {
		if !slices.Contains(r.VIPs, a) {
			return fmt.Errorf("remove %v: setup has not put it here; what somebody else has added is removed as it was added", a)
		}
	}
	left := slices.DeleteFunc(r.VIPs, func(a netip.Addr) bool { return len(gone) == 0 || slices.Contains(gone, a) })
	r.VIPs = slices.Concat([]netip.Addr{}, left)
	if !(realServerUnit{o.root, r}).there() {
		o.noPersist = true
	}
	return o.setUp(w, g, r)
}

func addressTexts(list []netip.Addr) []string {
	var out []string
	for _, a := range list {
		out = append(out, a.String())
	}
	return out
}

// writeJSON is for people who read it, too.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
