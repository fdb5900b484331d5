package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/vipward/vipward/core/control"
)

// newStatusCommand is `vipward status`.
func newStatusCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:               "status [INSTANCE]",
		Short:             "Show instances, services and plugins",
		Long:              "Show instances, services and plugins; with INSTANCE, that one in full.",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeInstance(g),
		RunE: func(c *cobra.Command, args []string) error {
			s, raw, err := newClient(g.socket).status(c.Context())
			if err != nil {
				return clientError(c, g, err)
			}
			if len(args) == 0 {
				return showStatus(c.OutOrStdout(), g, s, raw)
			}
			if err := narrow(&s, args[0]); err != nil {
				return err
			}
			return showInstance(c.OutOrStdout(), g, s)
		},
	}
}

// completeInstance offers the names of the running instances to the shell.
func completeInstance(g *globals) cobra.CompletionFunc { return first(g, instanceNames) }

func instanceNames(s control.Status) []string {
	names := make([]string, len(s.Instances))
	for i := range s.Instances {
		names[i] = s.Instances[i].Name
	}
	return names
}

// narrow leaves only one instance in the status.
func narrow(s *control.Status, name string) error {
	names := instanceNames(*s)
	i := slices.Index(names, name)
	if i < 0 {
		return fmt.Errorf("there is no instance %q; there are: %s", name, strings.Join(names, ", "))
	}
	s.Instances = s.Instances[i : i+1]
	return nil
}

// showStatus prints everything; as JSON exactly what the daemon said, which may know more than this program.
func showStatus(w io.Writer, g *globals, s control.Status, raw []byte) error {
	if g.json {
		_, err := w.Write(raw)
		return err
	}
	v := view{w: w, color: g.color(w), now: time.Now()}
	v.printf("%s  vipward %s, configuration %.12s, up %s%s\n", s.Node, s.Version, s.ConfigHash, v.ago(s.Started), unready(s))
	if m := s.Maintenance; m.On {
		v.printf("in maintenance for %s: %s; vipward maintenance off ends it\n", v.ago(*m.Since), m.Reason)
	}
	v.instances(s.Instances)
	v.groups(s.Groups)
	v.peers(s.Peers)
	v.services(s.Services, s.Removed)
	v.sync(s.Sync)
	v.plugins(s.Plugins)
	return v.err
}

func unready(s control.Status) string {
	if s.Ready {
		return ""
	}
	return ", not ready"
}

// showInstance prints one instance in full.
func showInstance(w io.Writer, g *globals, s control.Status) error {
	if g.json {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(s)
	}
	v := view{w: w, color: g.color(w), now: time.Now()}
	v.instance(s.Instances[0])
	return v.err
}

// view prints parts of a status for people. The first error stays in err.
type view struct {
	w     io.Writer
	color bool
	now   time.Time
	err   error
}

func (v *view) printf(format string, args ...any) {
	if v.err == nil {
		_, v.err = fmt.Fprintf(v.w, format, args...)
	}
}

// section prints a table with a blank line before it.
func (v *view) section(t *table) {
	t.color = v.color
	v.printf("\n")
	if v.err == nil {
		v.err = t.write(v.w)
	}
}

func (v *view) instances(list []control.Instance) {
	if len(list) == 0 {
		return
	}
	t := &table{}
	t.add("INSTANCE", "VRID", "STATE", "FOR", "PRIORITY", "MASTER", "VIPS", "WHY")
	for _, i := range list {
		t.add(i.Name, strconv.Itoa(i.VirtualRouterID), state(i.State), v.ago(i.Since), priority(i), master(i), vips(i), why(i))
	}
	v.section(t)
}

func (v *view) groups(list []control.Group) {
	if len(list) == 0 {
		return
	}
	t := &table{}
	t.add("SYNC GROUP", "STATE", "FOR", "INSTANCES", "WHY")
	for _, g := range list {
		t.add(g.Name, state(g.State), v.ago(g.Since), strings.Join(g.Instances, ", "), g.Reason)
	}
	v.section(t)
}

func (v *view) services(list []control.Service, removed []control.Removed) {
	if len(list)+len(removed) == 0 {
		return
	}
	t := &table{}
	t.add("SERVICE", "REAL SERVER", "STATE", "FOR", "WEIGHT", "ACTIVE", "INACTIVE", "WHY")
	for _, s := range list {
		up := "down"
		if s.Up {
			up = "up"
		}
		where := fmt.Sprintf("%s/%s", s.Address, s.Protocol)
		switch {
		case s.Fwmark != 0:
			where = fmt.Sprintf("fwmark %d", s.Fwmark)
		case len(s.Addresses) > 1:
			where += fmt.Sprintf(" and %d more", len(s.Addresses)-1)
		}
		what := fmt.Sprintf("%s %s %s", where, s.Scheduler, s.Forward)
		t.add(s.Name, what, state(up), "", "", "", "", s.Error)
		for _, r := range s.RealServers {
			t.add("", "  "+r.Address.String(), state(r.State), v.ago(r.Since), of(r.EffectiveWeight, r.Weight),
				strconv.FormatUint(uint64(r.ActiveConnections), 10), strconv.FormatUint(uint64(r.InactiveConnections), 10), stale(r.Reason, r.Stale))
		}
		v.leaving(t, s.Leaving)
	}
	for _, s := range removed {
		t.add("", s.Service, state("leaves"), "", "", "", "", "removed from the configuration; it goes with its last server")
		v.leaving(t, s.Leaving)
	}
	v.section(t)
}

func (v *view) leaving(t *table, list []control.Leaving) {
	for _, l := range list {
		t.add("", "  "+l.Address.String(), state("leaves"), "", "0", strconv.FormatUint(uint64(l.ActiveConnections), 10),
			strconv.FormatUint(uint64(l.InactiveConnections), 10), "removed from the configuration; it keeps its connections for another "+left(v.now, l.Until))
	}
}

func (v *view) sync(s *control.Sync) {
	if s == nil {
		return
	}
	t := &table{}
	t.add("CONNECTIONS", "ROLE", "FOR", "INTERFACE", "ID", "GROUP")
	role := state(s.Role)
	if s.Role == "" {
		role = state("down")
	}
	t.add("sync with "+s.Instance, role, v.ago(s.Since), s.Interface, strconv.Itoa(s.ID), netip.AddrPortFrom(s.Group, uint16(s.Port)).String())
	v.section(t)
}

func (v *view) plugins(list []control.Plugin) {
	if len(list) == 0 {
		return
	}
	t := &table{}
	t.add("PLUGIN", "KIND", "STATE", "PID", "RESTARTS", "VERSION", "WHY")
	for _, p := range list {
		pid := ""
		if p.PID != 0 {
			pid = strconv.Itoa(p.PID)
		}
		t.add(p.Name, p.Kind, state(p.State), pid, strconv.Itoa(p.Restarts), p.Version, p.Reason)
	}
	v.section(t)
}

func (v *view) instance(i control.Instance) {
	v.printf("%s is %s for %s: %s\n", i.Name, i.State, v.ago(i.Since), i.Reason)
	t := &table{}
	t.add("interface", fmt.Sprintf("%s, VRID %d, VRRP version %d, %s", i.Interface, i.VirtualRouterID, i.Version, i.Family))
	t.add("priority", fmt.Sprintf("%s, advert interval %s%s", priority(i), milliseconds(i.AdvertIntervalMS), mood(i)))
	t.add("master", master(i))
	for _, a := range i.Addresses {
		t.add("VIP", vip(a)+" on "+a.Interface)
	}
	for _, k := range i.Tracks {
		t.add("track", strings.TrimRight(fmt.Sprintf("%s %s%s  %s", k.Name, k.State, weight(k), stale(k.Reason, k.Stale)), " "))
	}
	c := i.Counters
	t.add("adverts", fmt.Sprintf("%d sent, %d received", c.AdvertsSent, c.AdvertsReceived))
	for _, reason := range sortedKeys(c.Discarded) {
		if n := c.Discarded[reason]; n > 0 {
			t.add("discarded", fmt.Sprintf("%d for %s", n, reason))
		}
	}
	t.add("takeovers", strconv.FormatUint(c.BecameMaster, 10))
	v.section(t)
}

// ago is how long ago an instant was, in its two largest units.
func (v *view) ago(t time.Time) string {
	d := max(v.now.Sub(t), 0).Truncate(time.Second)
	if day := 24 * time.Hour; d >= day {
		return fmt.Sprintf("%dd%dh", d/day, d%day/time.Hour)
	}
	if d >= time.Hour {
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return d.String()
}

// left is how long it is until an instant.
func left(now, until time.Time) string { return max(until.Sub(now), 0).Round(time.Second).String() }
