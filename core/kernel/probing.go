package kernel

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/vipward/vipward/core/desired"
)

// probingEvery is how often the settings are looked at, since a route may lead elsewhere by then, and others set sysctls, too.
const probingEvery = 5 * time.Second

const reuseMode = "net/ipv4/vs/conn_reuse_mode"

// ProbingOptions are what [NewProbing] needs.
type ProbingOptions struct {
	// Logger gets what an operator should know. Required.
	Logger *slog.Logger
	// Record is the path of the file that remembers how the settings were before; its directory must exist. With an empty path
	// they are remembered for this run only.
	Record string
	// Report is called by Run's goroutine when the error has changed, with an empty text for none. It must not block. Required.
	Report func(reason string)
}

// Probing lets this node hear the answers of real servers that are checked through a VIP. Such an answer has the VIP as its
// source; on the node that holds the VIP the kernel drops it for a forgery, unless the interface has accept_local (and no strict
// rp_filter). It sets these sysctls where they are needed, and puts them back. The services of IPVS that lead to the servers are
// made by [Services]. It also sets what every service needs of IPVS, and the sysctls that are wished for.
type Probing struct {
	opt  ProbingOptions
	wish *mailbox[sysctlWish]
}

// sysctlWish is what the settings are wanted for.
type sysctlWish struct {
	probes   []desired.Probe
	services bool // there are virtual services
	sysctls  []desired.Sysctl
}

// NewProbing makes an applier that does nothing yet.
func NewProbing(opt ProbingOptions) *Probing {
	return &Probing{opt: opt, wish: newMailbox[sysctlWish]()}
}

// Set replaces the wish, of which Probes, Sysctls, and whether there are Services at all, count. It never blocks. No setting is
// touched before the first wish that is not empty, unless a former run has left some to be put back.
func (p *Probing) Set(want *desired.State) {
	p.wish.put(sysctlWish{want.Probes, len(want.Services) > 0, want.Sysctls})
}

// Wait returns when everything wished before it has been tried once.
func (p *Probing) Wait(ctx context.Context) error { return p.wish.wait(ctx) }

// Run applies the wishes, in the network namespace of its thread, until ctx ends. The last one then stays in force.
func (p *Probing) Run(ctx context.Context) error {
	set, err := readSysctls(p.opt.Record)
	if err != nil {
		p.opt.Logger.Warn("sysctls that a former run has set for checks through a VIP stay as they are", "error", err)
	}
	timer := time.NewTicker(probingEvery)
	defer timer.Stop()
	var want sysctlWish
	var taken uint64
	told := ""
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-p.wish.changed:
			want, taken = p.wish.take()
		case <-timer.C:
		}
		if taken == 0 {
			continue
		}
		told = p.tell(told, set.probe(want))
		p.wish.finish(taken)
	}
}

// tell reports an error when it is new, and its end.
func (p *Probing) tell(told string, err error) string {
	reason := ""
	if err != nil {
		reason = "not every sysctl that the services and their checks need could be set, and they may not work; the next try is in 5s: " + err.Error()
	}
	if reason != told {
		p.opt.Report(reason)
	}
	return reason
}

// probe sets what the probes need. Where the way to a server is not known at the moment, what is set stays, and the rest is set.
func (s *sysctls) probe(w sysctlWish) error {
	if len(w.probes) == 0 && !w.services && len(w.sysctls) == 0 {
		return s.apply(nil, false)
	}
	devices, err := devicesTo(w.probes)
	var want []sysctl
	// The port of a client may come again while IPVS still knows the connection that it had before, and direct routing shows it
	// nothing but half of the end: without this the new one goes where the old one went, and is dropped for up to two minutes
	// where that server has been removed (ipvs-sysctl.rst, conn_reuse_mode).
	if _, err := readSysctl(reuseMode); err == nil { // else there is no IPVS, which others tell
		want = append(want, sysctl{reuseMode, "3"})
	}
	for _, d := range devices {
		want = append(want, answersOn(d, readSysctl)...)
	}
	for _, w := range w.sysctls { // what an operator asks for goes before what is set by itself
		want = slices.DeleteFunc(want, func(s sysctl) bool { return s.Name == w.Name })
		want = append(want, sysctl{w.Name, w.Value})
	}
	return errors.Join(err, s.apply(want, err != nil))
}

// devicesTo are the interfaces by which packets to the servers leave, and their answers come, each once. IPv6 is left out, since it
// drops nothing of this kind.
func devicesTo(probes []desired.Probe) ([]string, error) {
	r, err := dialRoute()
	if err != nil {
		return nil, err
	}
	defer r.close()
	var devices []string
	var failed []error
	for _, p := range probes {
		if p.Server.Is6() {
			continue
		}
		name, err := r.deviceTo(p.Server)
		if err != nil {
			failed = append(failed, fmt.Errorf("find the way to the real server %v: %w", p.Server, err))
			continue
		}
		devices = append(devices, name)
	}
	slices.Sort(devices)
	return slices.Compact(devices), errors.Join(failed...)
}

// answersOn are the sysctls by which packets from an address of this node are heard on a device. Of each, the greater value counts:
// that of the device or that of all (ip-sysctl.rst). A filter that is loose is asked for, too, for it may be our own setting.
func answersOn(device string, read func(string) (string, error)) []sysctl {
	of := func(which, name string) string {
		v, _ := read("net/ipv4/conf/" + which + "/" + name)
		return v
	}
	var out []sysctl
	if of("all", "accept_local") != "1" {
		out = append(out, sysctl{"net/ipv4/conf/" + device + "/accept_local", "1"})
	}
	const strict, loose = "1", "2"
	if max(of("all", "rp_filter"), of(device, "rp_filter")) == strict || of(device, "rp_filter") == loose {
		out = append(out, sysctl{"net/ipv4/conf/" + device + "/rp_filter", loose})
	}
	return out
}
