package conformance

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	pluginv1 "github.com/vipward/vipward/sdk/proto/v1"
)

// fake is a plugin that speaks the protocol by itself, with one component of each kind, and with one fault.
type fake struct {
	pluginv1.UnimplementedPluginServer
	pluginv1.UnimplementedCheckerServer
	pluginv1.UnimplementedNotifierServer
	pluginv1.UnimplementedFencerServer
	pluginv1.UnimplementedWitnessServer
	kind  pluginv1.Kind // of its component; unset for one of each
	fault string

	mu    sync.Mutex
	asked int
	held  string // by the witness: who has the grant
	stale uint32 // the last assignment of any stream
	leak  []*os.File
}

// mine tells whether a component is the fake's, also under the name that breaks the rules.
func mine(component string) bool { return component == "fake" || component == "Fake 1" }

func (f *fake) is(fault string) bool { return f.fault == fault }

func (f *fake) register(s *grpc.Server) {
	pluginv1.RegisterPluginServer(s, f)
	pluginv1.RegisterCheckerServer(s, f)
	pluginv1.RegisterNotifierServer(s, f)
	pluginv1.RegisterFencerServer(s, f)
	pluginv1.RegisterWitnessServer(s, f)
}

func (f *fake) Describe(context.Context, *pluginv1.DescribeRequest) (*pluginv1.DescribeResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	schema := &pluginv1.Schema{Attributes: []*pluginv1.Attribute{
		{Name: "count", Type: "int", Doc: "A number.", DefaultJson: "3", Min: new(1.0), Max: new(9.0)},
		{Name: "tags", Type: "list(string)", Doc: "Words."},
		{Name: "options", Type: "map(string)", Doc: "Words by name."},
		{Name: "password", Type: "string", Doc: "A secret.", Secret: true, Required: true},
	}}
	f.spoil(schema)
	d := &pluginv1.DescribeResponse{Name: "fake", Version: "1", Components: []*pluginv1.Component{
		{Kind: pluginv1.Kind_CHECKER, Name: "fake", Config: schema},
		{Kind: pluginv1.Kind_NOTIFIER, Name: "fake", Config: schema},
		{Kind: pluginv1.Kind_FENCER, Name: "fake", Config: schema},
		{Kind: pluginv1.Kind_WITNESS, Name: "fake", Config: schema},
	}}
	if f.kind != pluginv1.Kind_KIND_UNSPECIFIED {
		d.Components = slices.DeleteFunc(d.Components, func(c *pluginv1.Component) bool { return c.GetKind() != f.kind })
	}
	switch f.fault {
	case "nameless":
		d.Name = ""
	case "offers nothing":
		d.Components = nil
	case "describes itself anew":
		d.Version = strconv.Itoa(f.asked)
	case "component twice":
		d.Components = append(d.Components, d.Components[0])
	case "component of no kind":
		d.Components = append(d.Components, &pluginv1.Component{Kind: 99, Name: "odd"})
	case "component with a bad name":
		d.Components[0].Name = "Fake 1"
	}
	return d, nil
}

// spoil has the faults of a schema.
func (f *fake) spoil(s *pluginv1.Schema) {
	first := s.GetAttributes()[0]
	switch f.fault {
	case "unknown type":
		first.Type = "integer"
	case "bad name":
		first.Name = "Count-1"
	case "name twice":
		s.Blocks = append(s.Blocks, &pluginv1.NestedBlock{Name: "tags", Doc: "Again."})
	case "reserved name":
		s.Attributes = append(s.Attributes, &pluginv1.Attribute{Name: "timeout", Type: "duration", Doc: "Mine."})
	case "undocumented":
		first.Doc = ""
	case "undocumented in a block":
		inner := &pluginv1.Schema{Attributes: []*pluginv1.Attribute{{Name: "x", Type: "int"}}}
		s.Blocks = append(s.Blocks, &pluginv1.NestedBlock{Name: "extra", Doc: "More.", Schema: inner})
	case "limits the wrong way":
		first.Min = new(10.0)
	case "bad pattern":
		first.Pattern = "("
	case "default of another type":
		first.DefaultJson = `"three"`
	case "default not among the values":
		first.OneOf = []string{"1", "2"}
	case "default that is no JSON":
		first.DefaultJson = "three"
	}
}

func (f *fake) Validate(_ context.Context, r *pluginv1.ValidateRequest) (*pluginv1.ValidateResponse, error) {
	if !mine(r.GetName()) && !f.is("validates unknown components") {
		return nil, status.Error(codes.NotFound, "no such component")
	}
	refuse := func(at, summary string) *pluginv1.ValidateResponse {
		d := &pluginv1.Diagnostic{Summary: summary}
		if at != "" && !f.is("refuses without a path") {
			d.Path = []*pluginv1.PathStep{{Step: &pluginv1.PathStep_Attribute{Attribute: at}}}
		}
		return &pluginv1.ValidateResponse{Diagnostics: []*pluginv1.Diagnostic{d}}
	}
	var object map[string]any
	if json.Unmarshal(r.GetConfigJson(), &object) != nil {
		if f.is("accepts no JSON") {
			return &pluginv1.ValidateResponse{}, nil
		}
		return refuse("", "no JSON"), nil
	}
	if f.is("tells secrets when it validates") && object["password"] != "sample" {
		return refuse("password", fmt.Sprintf("%v is too short", object["password"])), nil
	}
	switch {
	case f.is("refuses everything"):
		return refuse("password", "no"), nil
	case f.is("slow to validate"):
		time.Sleep(quick + 200*time.Millisecond)
	case f.is("accepts wrong types"):
		return &pluginv1.ValidateResponse{}, nil
	case f.is("points elsewhere"):
		if _, ok := object["tags"].(map[string]any); ok {
			return refuse("count", "wrong"), nil
		}
	}
	for name, v := range object {
		_, isList := v.([]any)
		_, isMap := v.(map[string]any)
		if name == "count" && (isList || isMap) || name == "tags" && !isList || name == "options" && !isMap {
			return refuse(name, "of a wrong type"), nil
		}
	}
	return &pluginv1.ValidateResponse{}, nil
}

func (f *fake) Control(stream pluginv1.Plugin_ControlServer) error {
	for {
		r, err := stream.Recv()
		if err != nil {
			return nil
		}
		nonce := r.GetPing().GetNonce()
		if f.is("pongs out of order") {
			nonce = 5
		}
		if err := stream.Send(&pluginv1.ControlEvent{Msg: &pluginv1.ControlEvent_Pong{Pong: &pluginv1.Pong{Nonce: nonce}}}); err != nil {
			return err
		}
	}
}

// Run serves a stream: a goroutine for each assignment dials the target and waits for its greeting.
func (f *fake) Run(stream pluginv1.Checker_RunServer) error {
	w := &work{fake: f, stream: stream, running: make(map[uint32]context.CancelFunc)}
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	go w.beat(ctx)
	if f.is("remembers the last stream") {
		go w.goOn(ctx, f.last())
	}
	for {
		r, err := stream.Recv()
		if err != nil {
			return nil
		}
		for _, id := range r.GetUnassign() {
			if w.running[id] != nil && !f.is("does not stop") {
				w.running[id]()
			}
		}
		for _, a := range r.GetAssign() {
			w.given.Store(true)
			f.mu.Lock()
			f.stale = a.GetId()
			f.mu.Unlock()
			if f.is("leaks descriptors") {
				file, _ := os.Open(os.DevNull)
				f.leak = append(f.leak, file)
			}
			w.start(ctx, a)
		}
	}
}

// work is one stream.
type work struct {
	*fake
	stream  pluginv1.Checker_RunServer
	running map[uint32]context.CancelFunc
	given   atomic.Bool // an assignment
	mu      sync.Mutex
	targets int
}

func (f *fake) last() uint32 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.stale
}

// goOn has results of an earlier stream, while this one has no assignment.
func (w *work) goOn(ctx context.Context, id uint32) {
	for id != 0 && ctx.Err() == nil {
		time.Sleep(200 * time.Millisecond)
		if !w.given.Load() {
			w.send(&pluginv1.CheckerEvent{Results: []*pluginv1.Result{{Id: id, Status: pluginv1.Status_FAIL}}})
		}
	}
}

func (w *work) beat(ctx context.Context) {
	for ctx.Err() == nil {
		w.mu.Lock()
		h := &pluginv1.Heartbeat{Targets: uint32(w.targets)}
		w.mu.Unlock()
		if !w.is("has no heartbeat") {
			w.send(&pluginv1.CheckerEvent{Heartbeat: h})
		}
		select {
		case <-time.After(300 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

func (w *work) send(e *pluginv1.CheckerEvent) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_ = w.stream.Send(e)
}

func (w *work) start(ctx context.Context, a *pluginv1.Assignment) {
	if old := w.running[a.GetId()]; old != nil && !w.is("adds up assignments") {
		old()
	}
	if w.is("loses targets") && a.GetId() > 150 {
		return
	}
	w.mu.Lock()
	w.targets++
	w.mu.Unlock()
	ctx, w.running[a.GetId()] = context.WithCancel(ctx)
	interval := a.GetInterval().AsDuration()
	if w.is("hurries") {
		interval /= 8
	}
	go func() {
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for ctx.Err() == nil {
			if w.is("overlaps") {
				go w.once(ctx, a)
			} else {
				w.once(ctx, a)
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	}()
}

// once is one run.
func (w *work) once(ctx context.Context, a *pluginv1.Assignment) {
	timeout := a.GetTimeout().AsDuration()
	if w.is("ignores the deadline") && timeout < time.Second {
		timeout = 10 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	r := &pluginv1.Result{Id: a.GetId(), Status: pluginv1.Status_FAIL, Reason: "no greeting"}
	var config map[string]any
	switch err := json.Unmarshal(a.GetConfigJson(), &config); {
	case err != nil && !w.is("fails on garbage"):
		r.Status = pluginv1.Status_ERROR
	case a.GetComponent() != "fake" && !w.is("serves unknown components"):
		r.Status = pluginv1.Status_ERROR
	default:
		dial(ctx, a.GetAddress(), w.is("ignores silence"))
	}
	switch w.fault {
	case "answers for others":
		r.Id = 77
	case "has odd results":
		r.Status = 42
	case "tells secrets":
		r.Reason = fmt.Sprintf("login with %v refused", config["password"])
	case "logs secrets":
		fmt.Fprintf(os.Stderr, "password %v\n", config["password"])
	case "crashes with many":
		if a.GetId() > fewTargets/2 {
			os.Exit(3)
		}
	}
	if ctx.Err() == nil || ctx.Err() == context.DeadlineExceeded {
		w.send(&pluginv1.CheckerEvent{Results: []*pluginv1.Result{r}})
	}
}

func dial(ctx context.Context, address string, patient bool) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return
	}
	defer conn.Close()
	if deadline, _ := ctx.Deadline(); !patient {
		_ = conn.SetReadDeadline(deadline)
	}
	_, _ = conn.Read(make([]byte, 1))
}

func (f *fake) Notify(_ context.Context, r *pluginv1.NotifyRequest) (*pluginv1.NotifyResponse, error) {
	known := json.Valid(r.GetConfigJson()) || f.is("delivers anything")
	switch {
	case r.GetComponent() != "fake" && !f.is("delivers for anybody"):
		return nil, status.Error(codes.NotFound, "no such notifier")
	case f.is("fails the second time") && r.GetAttempt() == 2:
		return nil, status.Error(codes.Internal, "seen before")
	case f.is("has odd outcomes"):
		return &pluginv1.NotifyResponse{Outcome: 9}, nil
	case len(r.GetEvents()) == 0 && !f.is("retries nothing"):
		return &pluginv1.NotifyResponse{}, nil
	case !known || len(r.GetEvents()) == 0:
		return &pluginv1.NotifyResponse{Outcome: pluginv1.NotifyResponse_RETRY}, nil
	}
	return &pluginv1.NotifyResponse{Reason: "sent"}, nil
}

func (f *fake) Fence(_ context.Context, r *pluginv1.FenceRequest) (*pluginv1.FenceResponse, error) {
	yes := &pluginv1.FenceResponse{Verdict: pluginv1.FenceResponse_CONFIRMED, Evidence: "reads off"}
	no := &pluginv1.FenceResponse{Evidence: "a dry run"}
	switch {
	case !mine(r.GetComponent()) && !f.is("fences for anybody"):
		return nil, status.Error(codes.NotFound, "no such fencer")
	case f.is("fences without a configuration") && !json.Valid(r.GetConfigJson()), f.is("confirms every action") && r.GetAction() > pluginv1.FenceRequest_ON:
		return yes, nil
	case !json.Valid(r.GetConfigJson()) || r.GetAction() > pluginv1.FenceRequest_ON:
		return no, nil
	case f.is("has odd verdicts"):
		return &pluginv1.FenceResponse{Verdict: 9}, nil
	case f.is("confirms dry runs"), r.GetAction() == pluginv1.FenceRequest_STATUS && !f.is("confirms without evidence"):
		return yes, nil
	case f.is("confirms without evidence") && r.GetAction() == pluginv1.FenceRequest_STATUS:
		return &pluginv1.FenceResponse{Verdict: pluginv1.FenceResponse_CONFIRMED}, nil
	}
	return no, nil
}

func (f *fake) Acquire(_ context.Context, r *pluginv1.WitnessRequest) (*pluginv1.WitnessResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	yes := &pluginv1.WitnessResponse{Verdict: pluginv1.WitnessResponse_GRANTED}
	incomplete := r.GetClaim() == "" || r.GetNode() == "" || r.GetTtl().AsDuration() <= 0
	switch {
	case !mine(r.GetComponent()) && !f.is("grants for anybody"):
		return nil, status.Error(codes.NotFound, "no such witness")
	case f.is("grants without a configuration") && !json.Valid(r.GetConfigJson()), f.is("grants anything") && incomplete:
		return yes, nil
	case !json.Valid(r.GetConfigJson()) || incomplete:
		return &pluginv1.WitnessResponse{Reason: "cannot be read"}, nil
	case f.is("has an odd grant"):
		return &pluginv1.WitnessResponse{Verdict: 9}, nil
	case f.is("gives no reason"):
		return &pluginv1.WitnessResponse{}, nil
	case f.held == "" || f.held == r.GetNode() || f.is("grants to both"):
		f.held = r.GetNode()
		return yes, nil
	}
	return &pluginv1.WitnessResponse{Verdict: pluginv1.WitnessResponse_REFUSED, Holder: f.held}, nil
}

func (f *fake) Release(_ context.Context, r *pluginv1.WitnessRequest) (*pluginv1.WitnessResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.held == r.GetNode() {
		f.held = ""
	}
	return &pluginv1.WitnessResponse{Verdict: pluginv1.WitnessResponse_GRANTED}, nil
}

// serveFake is the fake as an executable. FAULT is its fault.
func serveFake() {
	kind, _ := strconv.Atoi(os.Getenv("KIND"))
	f := &fake{kind: pluginv1.Kind(kind), fault: os.Getenv("FAULT")}
	if os.Getenv(pluginv1.CookieKey) == "" && !f.is("shakes hands with anybody") {
		byHand(f)
		return
	}
	dir := os.Getenv("PLUGIN_UNIX_SOCKET_DIR")
	if f.is("listens elsewhere") || dir == "" {
		dir, _ = os.MkdirTemp("", "elsewhere-")
		defer os.RemoveAll(dir)
	}
	path := filepath.Join(dir, "socket")
	l, err := net.Listen("unix", path)
	if err != nil {
		panic(err)
	}
	s := grpc.NewServer()
	f.register(s)
	stopped := make(chan struct{})
	s.RegisterService(controller(f, stopped), nil)
	go func() { _ = s.Serve(l) }()
	switch f.fault {
	case "prints before the handshake":
		fmt.Println("hello from a library")
	case "ends at once":
		os.Exit(3)
	case "speaks another version":
		fmt.Printf("1|2|unix|%s|grpc\n", path)
		select {}
	}
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM) // before anybody knows that this process runs: the default would end it
	fmt.Printf("1|1|unix|%s|grpc\n", path)
	if f.is("prints after the handshake") {
		fmt.Println("ready")
	}
	f.waitForTheEnd(stopped, term)
}

func byHand(f *fake) {
	switch f.fault {
	case "waits by hand":
		select {}
	case "says nothing by hand":
	default:
		fmt.Println("a fake plugin")
	}
}

// controller is the service with which go-plugin stops a plugin.
func controller(f *fake, stopped chan struct{}) *grpc.ServiceDesc {
	handle := func(_ any, _ context.Context, read func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		if !f.is("does not shut down") {
			close(stopped)
		}
		return &emptypb.Empty{}, read(&emptypb.Empty{})
	}
	return &grpc.ServiceDesc{
		ServiceName: "plugin.GRPCController", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Shutdown", Handler: handle}},
	}
}

func (f *fake) waitForTheEnd(stopped chan struct{}, term chan os.Signal) {
	lifeline := make(chan struct{})
	if n, err := strconv.Atoi(os.Getenv(pluginv1.LifelineEnv)); err == nil && !f.is("ignores its lifeline") {
		go func() {
			_, _ = os.NewFile(uintptr(n), "lifeline").Read(make([]byte, 1))
			close(lifeline)
		}()
	}
	if f.is("ignores SIGTERM") {
		term = nil
	}
	select {
	case <-stopped:
	case <-lifeline:
	case <-term:
	}
}

// failed are the checks that failed, each once.
func failed(findings []Finding) []string {
	var all []string
	for _, f := range findings {
		if !f.OK && !slices.Contains(all, f.Check) {
			all = append(all, f.Check)
		}
	}
	return all
}
