// Package sdk is what the author of a plugin for vipward imports. It is not for the daemon, and it imports nothing of it.
//
// # A plugin
//
// A plugin is an executable named vipward-plugin-NAME in a plugin directory. vipward starts it when a configuration names it,
// in a process of its own: what it does wrong, it does to nobody else. A whole checker is one function:
//
//	type Config struct {
//		Prefix string `vipward:"prefix" default:"SSH-2.0" doc:"What the greeting must start with."`
//	}
//
//	func check(ctx context.Context, t sdk.Target, c Config) sdk.Result {
//		conn, err := t.Dial(ctx)
//		if err != nil {
//			return sdk.Fail(err)
//		}
//		defer conn.Close()
//		…
//		return sdk.Pass()
//	}
//
//	func main() { sdk.ServeChecker("banner", check) }
//
// The daemon runs it as an unprivileged user, without capabilities, in an empty environment, and where the kernel has landlock(7) it
// can write to the folder of [os.TempDir] only. An operator can let it do more, in a block plugin "NAME".
//
// An operator then writes:
//
//	check "banner" {
//	  prefix   = "220 "
//	  interval = "2s"
//	}
//
// The directory examples/checker-banner has this plugin as a module of its own. Started by hand, a plugin prints what it takes.
//
// # Results
//
// A check says what it saw, and vipward decides. [Pass] and [Warnf] count for the target, [Fail] and [Failf] against it.
// [Errorf] says that the check could not be made: the target stays as it was. The difference matters: a checker that
// calls its own troubles failures takes healthy servers out of service. An error of [Target.Dial] is a failure of the
// target, unless [Local] says that it is one of this node, which Fail knows by itself; a file that cannot be read is an error of
// the check.
//
// The reason is for the operator who reads it at night: what was tried, what came, what was expected.
//
// # Timing
//
// The SDK keeps the time: it calls the function once per interval and target, never twice at a time for one target, with a
// context that ends at the check's timeout, and spreads the targets over the interval. After a failure it comes back at the
// retry interval, where the operator set one, until the target passes. At most 1024 runs go on at the same time.
// A function that ignores the end of its context is reported as failed, stuck, and is not called for that target until it
// returns. A panic is an error of the check, with its stack in the log.
//
// # Configuration
//
// The configuration is a struct. Its tagged fields are the attributes and blocks that an operator may write; vipward checks
// them before the plugin sees them, and points at file and line. Fields without the tag are the author's own; those of an embedded
// struct count as if they stood there.
//
//	vipward:"name"           an attribute; also name,required and name,secret
//	vipward:"name,block"     a block: of a struct one, of a pointer perhaps one, of a slice any number
//	default:"text"           the value where the operator writes none; of lists and maps as JSON
//	doc:"text"               one sentence for the reference
//	one_of:"a,b,c"           the allowed values
//	min:"1" max:"10"         bounds of a number; of a duration with its unit
//	pattern:"[a-z]+"         a regular expression (RE2) that the whole value matches
//	deprecated:"text"        what to write instead
//
// Types are string, bool, the ints and floats, [time.Duration], [net/netip.Addr], [net/netip.AddrPort], [net/netip.Prefix],
// [Secret], slices of these, and maps from strings to these. On lists and maps, constraints hold for each element. The names
// interval, timeout, rise, fall, initial, retry_interval, warmup, on_unknown, weight and labels belong to vipward in checks,
// events and retry in notifiers, timeout in fencers and witnesses.
//
// Three methods on the configuration's pointer are called where they exist:
//
//	Validate() error              faults that tags cannot say; PathError points at them, errors.Join lists several
//	Open(context.Context) error   once, before the first use: pools, certificates; what fails is tried again
//	Close() error                 when the configuration is used no more
//
// # Notifiers
//
// A notifier is func(context.Context, []sdk.Event, Config) error. nil says that the events are delivered; [Drop] that they
// never will be; [RetryAfter], or any other error, that they are to be tried again. The same events may come twice:
// [DeliveryOf] has a key that stays the same. vipward keeps what is not delivered on the disk, over a restart and a crash, and
// hands events over one by one, in their order. A notifier that makes one message of several declares an attribute batch, a
// time: vipward then gathers events for so long, does not hold critical ones back, and hands a storm over at once in any case.
//
// # Fencers
//
// A fencer takes the power or the network away from a node, so that the other may be sure of it. [Fence] has a function each
// for off, on and status. [Confirmed] says that what was asked for is so, with the evidence: read the state back, do not
// believe the answer to the command. [Failed] says that it surely is not so, [Unknown] everything else: a device that does not
// answer, a deadline that has passed. A panic is unknown, and so is what is confirmed in a dry run, in which nothing may be
// switched. For a fencer, Open and Close are called around each call.
//
// # Witnesses
//
// A witness says to one node at a time that it may hold something, for a while. [Witness] has a function each for acquire and
// release. [Granted] and [Refused] are what it says, [Unanswered] that nobody can say. The host counts the time of a grant from
// before it asked, by its own clock: whatever gives the claim to another node must have waited at least so long since. To acquire
// what one has is to renew it.
//
// # Tests
//
// The package plugintest tests a plugin in go test, over the real protocol and without a build:
//
//	c := plugintest.Checker(t, "banner", check).Config(`{"prefix": "220 "}`)
//	c.Against(address).Pass()
//	c.Conformance()
//
// The command vipward plugin test checks an executable in any language with the same suite, vipward plugin run drives one by
// hand, vipward plugin docs writes its reference, and vipward plugin new makes a project whose tests pass. For a debugger, start
// the plugin with --debug, and vipward with the variable that it prints. The folder examples has a tutorial that ends with a pair
// that fails over because of the reader's own plugin.
//
// # Life
//
// [Serve] returns when vipward stops the plugin. A plugin does not outlive the daemon. What it prints goes to the log of
// vipward, at level warn; [Logger] has levels and is tagged with component and target. A plugin gets nothing of the daemon's
// environment, only what the block plugin says.
package sdk
