package config

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/dynblock"

	"github.com/vipward/vipward/core/desired"
	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// Options are what loading needs besides the files.
type Options struct {
	// Node is the name of the node to load for. It has to be among the blocks `node`, where there are any.
	Node string
	// Plugins answers what the plugins declare. Nil: there are none.
	Plugins Plugins
	// Environ looks a variable of the environment up, like [os.LookupEnv]. Nil: the environment is empty.
	Environ func(string) (string, bool)

	// Scheduler says what mends that this machine has no such scheduler of IPVS; empty for all well, and for unknown. Nil: it is not asked.
	Scheduler func(name string) string

	lock *LockFile // beside the configuration; nil for none
}

// withLock reads the lock file of the configuration into the options, and adds what is wrong with it.
func withLock(path string, opt *Options, diags hcl.Diagnostics) hcl.Diagnostics {
	f, more := readLock(path)
	opt.lock = f
	return append(diags, more...)
}

// Load reads the file at path, or the files *.hcl of the directory there, as the node opt.Node sees them. It reports every
// fault at once. The configuration is nil where the diagnostics have errors.
func Load(ctx context.Context, path string, opt Options) (*Config, Diagnostics) {
	sources, hash, diags := readSources(path)
	return load(ctx, sources, hash, withLock(path, &opt, diags), opt)
}

// Validate loads the configuration at path for every node that it declares (for opt.Node where it declares none), and returns
// their names, all diagnostics together, and what each node foretells of a failure of its own.
func Validate(ctx context.Context, path string, opt Options) (nodes []string, forecasts []Forecast, diags Diagnostics) {
	sources, hash, read := readSources(path)
	read = withLock(path, &opt, read)
	names := nodeNames(sources)
	if len(names) == 0 {
		_, diags = load(ctx, sources, hash, read, opt)
		return nil, nil, diags
	}
	for _, name := range names {
		opt.Node = name
		cfg, more := load(ctx, sources, hash, read, opt)
		diags = diags.Merge(more)
		if cfg != nil {
			forecasts = append(forecasts, slices.DeleteFunc(cfg.Forecasts, func(f Forecast) bool { return f.Node != name })...)
		}
	}
	return names, forecasts, diags
}

func load(ctx context.Context, sources []*source, hash string, read hcl.Diagnostics, opt Options) (*Config, Diagnostics) {
	l, diags := loaded(ctx, sources, read, opt, (*loading).run)
	if diags.HasErrors() {
		return nil, diags
	}
	l.cfg.Hash = hash
	cfg := l.cfg // not the rest of the loading, which holds the whole text
	return &cfg, diags
}

// loaded has run evaluate the sources, unless they could not be read.
func loaded(
	ctx context.Context, sources []*source, read hcl.Diagnostics, opt Options, run func(*loading),
) (*loading, Diagnostics) {
	l := &loading{ctx: ctx, opt: opt, lock: opt.lock, sources: sources, diags: slices.Clone(read)}
	if l.opt.Plugins == nil {
		l.opt.Plugins = noPlugins{}
	}
	if l.opt.Environ == nil {
		l.opt.Environ = func(string) (string, bool) { return "", false }
	}
	if !read.HasErrors() { // what remains of a file after a syntax error would only give false alarms
		l.protected(run)
	}
	return l, fromHCL(l.diags, filesOf(append(opt.lock.sources(), sources...)))
}

// filesOf is what diagnostics show lines of.
func filesOf(sources []*source) map[string]*hcl.File {
	files := map[string]*hcl.File{}
	for _, s := range sources {
		files[s.name] = s.hcl
	}
	return files
}

// loading is one run of [Load]: what it has found so far.
type loading struct {
	ctx     context.Context
	opt     Options
	sources []*source
	lock    *LockFile
	diags   hcl.Diagnostics
	misread []hcl.Range // references that have been reported: see checkReferences
	broken  []hcl.Range // values that could not be had, which has been reported; what is said of them after that is an echo

	cfg             Config
	nodes           []nodeDecl
	scopes          map[string]*scope // by node
	defaults        defaults
	instances       []*instance
	groups          []*group
	slowness        map[string]time.Duration // of the checks of tracks: how long until they count as down
	services        []*service
	through         map[string]through // checks through a VIP, by ID
	trackedServices []trackedService
	sync            *syncBlock // nil for none
	sysctls         []desired.Sysctl
	sysctlAt        hcl.Range
	checkers        map[string]*checker
	notifiers       map[string]bool
	fencing         []fencing
	arbitration     arbitration
	labels          map[string]hcl.Range // blocks by type and labels

	pluginAt   map[string]hcl.Range // blocks `plugin`, by name
	pluginUsed map[string]bool      // by name
}

// protected turns a panic of an expression's evaluation, which HCL's functions are not free of, into a diagnostic.
func (l *loading) protected(run func(*loading)) {
	defer func() {
		if p := recover(); p != nil {
			l.diags = append(l.diags, &hcl.Diagnostic{
				Severity: hcl.DiagError, Summary: "the configuration cannot be evaluated",
				Detail: fmt.Sprintf("Evaluating it broke off with %q. This is a fault of vipward: please report it with the file.", fmt.Sprint(p)),
			})
		}
	}()
	run(l)
}

// run goes through the configuration in the order in which its parts need one another.
func (l *loading) run() {
	l.checkReferences()
	if !l.resolveScopes() {
		return
	}
	kids := l.blocks()
	l.checkEmpty(kids)
	l.readDaemon(kids)
	l.readCheckers(kids)
	l.readNotifiers(kids)
	l.readFencers(kids)
	l.readFencing(kids)
	l.readWitnesses(kids)
	l.readArbitration(kids)
	l.readInstances(kids)
	l.readGroups(kids)
	l.readServices(kids)
	l.readIPVS(kids)
	l.crossCheck()
	l.assemble()
}

// kid is a block with the file that it stands in.
type kid struct {
	*hcl.Block
	src *source
}

// blocks opens the top level of all files: the blocks by type, in order.
func (l *loading) blocks() map[string][]kid {
	kids := map[string][]kid{}
	for _, s := range l.sources {
		content, diags := dynblock.Expand(s.hcl.Body, l.context(s)).Content(rootSpec().schema())
		l.addHCL(diags, rootSpec())
		for _, b := range content.Blocks {
			if why := rootSpec().laterBlocks[b.Type]; why != "" {
				l.notYet(b.DefRange, b.Type, why)
				continue
			}
			l.once(b)
			kids[b.Type] = append(kids[b.Type], kid{b, s})
		}
	}
	return kids
}

// checkEmpty warns of a configuration with nothing in it, which a file becomes that was cut off.
func (l *loading) checkEmpty(kids map[string][]kid) {
	if len(kids) == 0 && !l.diags.HasErrors() {
		l.warn(hcl.Range{Filename: l.sources[0].name, Start: hcl.InitialPos, End: hcl.InitialPos}, "the configuration is empty").because(
			"A daemon with it holds no address and serves nothing, and a reload to it lets go of all that there is. Begin with a block vrrp_instance or virtual_server.")
	}
}

// once reports a block whose type and labels are there already.
func (l *loading) once(b *hcl.Block) {
	switch b.Type {
	case "variable", "locals", "node": // reported where they are resolved
		return
	}
	labels := b.Labels
	if b.Type == "checker" || b.Type == "notifier" || b.Type == "fencer" || b.Type == "witness" {
		labels = labels[1:] // their name alone is what others refer to
	}
	header := b.Type
	for _, s := range labels {
		header += fmt.Sprintf(" %q", s)
	}
	if l.labels == nil {
		l.labels = map[string]hcl.Range{}
	}
	if first, ok := l.labels[header]; ok {
		l.fault(labelRange(b), "%s is declared twice", header).because(
			"It is declared at %s already. Remove one of them, or give it another name.", place(first))
		return
	}
	l.labels[header] = b.DefRange
}

// place is a range as people write it.
func place(r hcl.Range) string { return fmt.Sprintf("%s line %d", r.Filename, r.Start.Line) }

// labelRange is where a block's last label stands, or its header where it has none.
func labelRange(b *hcl.Block) hcl.Range {
	if n := len(b.LabelRanges); n > 0 {
		return b.LabelRanges[n-1]
	}
	return b.DefRange
}

// noPlugins is an empty set of plugins.
type noPlugins struct{}

func (noPlugins) Schema(_ context.Context, _ pluginv1.Kind, name string, _ Plugin) (*pluginv1.Schema, error) {
	return nil, &MissingPlugin{Name: name}
}

func (noPlugins) Validate(_ context.Context, _ pluginv1.Kind, name string, _ Plugin, _ json.RawMessage) ([]*pluginv1.Diagnostic, error) {
	return nil, &MissingPlugin{Name: name}
}

// list joins names for a message: "a, b and c".
func list(names []string) string {
	switch n := len(names); n {
	case 0:
		return "nothing"
	case 1:
		return names[0]
	default:
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
}
