package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/vipward/vipward/sdk/conformance"
	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// pluginDrive is `vipward plugin run`: one plugin, driven by hand.
type pluginDrive struct {
	pluginSubject
	interval, timeout time.Duration
	count             int
	action, node      string
	effective         bool
	json              bool
	out               io.Writer
}

// newPluginRunCommand is `vipward plugin run`.
func newPluginRunCommand(g *globals) *cobra.Command {
	var d pluginDrive
	c := &cobra.Command{
		Use:   "run BINARY",
		Short: "Drive one plugin by hand and print what it says",
		Long: "Start a plugin and have it do what it is for, without a daemon: a checker checks --target until it is interrupted, or\n" +
			"--count times; a notifier tells of two events; a fencer makes a dry run of --action; a witness\n" +
			"gives a grant and takes it back. Each message is printed as it comes.",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			d.json, d.out = g.json, c.OutOrStdout()
			if _, err := netip.ParseAddrPort(d.target); d.target != "" && err != nil {
				return usageError(fmt.Errorf("--target is an address with a port, like 10.0.0.1:80 or [2001:db8::1]:80, not %q", d.target))
			}
			if err := d.open(args[0], c.ErrOrStderr()); err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			return d.drive(ctx)
		},
	}
	d.addFlags(c)
	c.Flags().DurationVar(&d.interval, "interval", time.Second, "between two runs of a checker")
	c.Flags().DurationVar(&d.timeout, "timeout", 5*time.Second, "deadline of a run, of a delivery, of a call")
	c.Flags().IntVar(&d.count, "count", 0, "end after so many results of a checker (0: when interrupted)")
	c.Flags().StringVar(&d.action, "action", "status", "what a fencer is asked for: status, off or on")
	c.Flags().StringVar(&d.node, "node", "lb2", "the node that a fencer is asked about, or a witness by")
	c.Flags().BoolVar(&d.effective, "no-dry-run", false, "have the fencer really do it")
	return c
}

// drive starts the plugin and has it work.
func (d *pluginDrive) drive(ctx context.Context) error {
	plugin, err := d.command.Start(ctx)
	if err != nil {
		return fmt.Errorf("start %s: %w", d.command.Path, err)
	}
	defer plugin.Close()
	described, err := plugin.Describe(ctx)
	if err != nil {
		return fmt.Errorf("ask what %s offers: %w", d.command.Path, err)
	}
	if err := d.choose(ctx, described); err != nil {
		return err
	}
	if d.config == nil {
		d.config = json.RawMessage("{}")
	}
	if err := d.validate(ctx, plugin); err != nil {
		return err
	}
	switch d.chosen.GetKind() {
	case pluginv1.Kind_CHECKER:
		return d.check(ctx, plugin)
	case pluginv1.Kind_NOTIFIER:
		return d.notify(ctx, plugin)
	case pluginv1.Kind_FENCER:
		return d.fence(ctx, plugin)
	case pluginv1.Kind_WITNESS:
		return d.ask(ctx, plugin)
	}
	return fmt.Errorf("components of the kind %v cannot be driven", d.chosen.GetKind())
}

// check has the target checked and prints the results.
func (d *pluginDrive) check(ctx context.Context, plugin *conformance.Plugin) error {
	stream, err := pluginv1.NewCheckerClient(plugin.Conn).Run(ctx)
	if err != nil {
		return err
	}
	err = stream.Send(&pluginv1.CheckerRequest{Assign: []*pluginv1.Assignment{{
		Id: 1, Component: d.chosen.GetName(), ConfigJson: d.config, Target: "by hand", Address: d.target,
		Interval: durationpb.New(d.interval), Timeout: durationpb.New(d.timeout),
	}}})
	for n := 0; err == nil; {
		var e *pluginv1.CheckerEvent
		if e, err = stream.Recv(); err != nil {
			break
		}
		for _, r := range e.GetResults() {
			if err := d.print(r, resultLine(r)); err != nil {
				return err
			}
			if n++; n == d.count {
				return nil
			}
		}
	}
	if ctx.Err() != nil {
		return nil // interrupted, as it is meant to be
	}
	return fmt.Errorf("the plugin has hung up: %w", err)
}

// resultLine is a result for people.
func resultLine(r *pluginv1.Result) string {
	line := fmt.Sprintf("%s  %-5s  %v", r.GetAt().AsTime().Local().Format("15:04:05.000"),
		strings.ToLower(r.GetStatus().String()), r.GetTook().AsDuration().Round(time.Microsecond))
	if r.Weight != nil {
		line += fmt.Sprintf("  weight %d", r.GetWeight())
	}
	for _, name := range slices.Sorted(maps.Keys(r.GetValues())) {
		line += fmt.Sprintf("  %s=%v", name, r.GetValues()[name])
	}
	if r.GetReason() != "" {
		line += "  " + r.GetReason()
	}
	return line
}

// notify has a few events delivered once, and prints the answer.
func (d *pluginDrive) notify(ctx context.Context, plugin *conformance.Plugin) error {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	r, err := pluginv1.NewNotifierClient(plugin.Conn).Notify(ctx, &pluginv1.NotifyRequest{
		Component: d.chosen.GetName(), ConfigJson: d.config, Events: conformance.SampleEvents(), IdempotencyKey: "by hand", Attempt: 1,
	})
	if err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	return d.print(r, strings.TrimSpace(strings.ToLower(r.GetOutcome().String())+"  "+r.GetReason()))
}

// fence asks for one action, and prints the answer.
func (d *pluginDrive) fence(ctx context.Context, plugin *conformance.Plugin) error {
	action, ok := pluginv1.FenceRequest_Action_value[strings.ToUpper(d.action)]
	if !ok {
		return usageError(fmt.Errorf("there is no action %q; it is status, off or on", d.action))
	}
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	r, err := pluginv1.NewFencerClient(plugin.Conn).Fence(ctx, &pluginv1.FenceRequest{
		Component: d.chosen.GetName(), ConfigJson: d.config, Action: pluginv1.FenceRequest_Action(action), Node: d.node,
		DryRun: !d.effective,
	})
	if err != nil {
		return fmt.Errorf("fence: %w", err)
	}
	return d.print(r, strings.TrimSpace(strings.ToLower(r.GetVerdict().String())+"  "+r.GetEvidence()))
}

// ask has a witness give a grant for a second, takes it back, and prints both answers.
func (d *pluginDrive) ask(ctx context.Context, plugin *conformance.Plugin) error {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	witness := pluginv1.NewWitnessClient(plugin.Conn)
	r := &pluginv1.WitnessRequest{
		Component: d.chosen.GetName(), ConfigJson: d.config, Claim: "vipward-plugin-run", Node: d.node, Ttl: durationpb.New(time.Second),
	}
	for _, call := range []func(context.Context, *pluginv1.WitnessRequest, ...grpc.CallOption) (*pluginv1.WitnessResponse, error){
		witness.Acquire, witness.Release,
	} {
		a, err := call(ctx, r)
		if err != nil {
			return fmt.Errorf("ask the witness: %w", err)
		}
		line := strings.TrimSpace(fmt.Sprintf("%s %s  %s", strings.ToLower(a.GetVerdict().String()), a.GetHolder(), a.GetReason()))
		if err := d.print(a, line); err != nil {
			return err
		}
	}
	return nil
}

// print writes one message: a line for people, or with --json the message itself.
func (d *pluginDrive) print(m proto.Message, line string) error {
	if d.json {
		text, err := protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true}.Marshal(m)
		if err != nil {
			return err
		}
		line = string(text)
	}
	_, err := fmt.Fprintln(d.out, line)
	return err
}
