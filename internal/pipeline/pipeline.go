// Package pipeline is the guarded way between the two gates: the steps that a
// request takes from an admitted exchange to its answer. It hides how hosts,
// base paths, stages and methods are found, how parameters are mapped and how
// the gateway words its own answers.
//
// It promises that a request is read once, against one snapshot; that every
// step fails closed; that one client request is at most one backend request
// (backgate has the one exception, for what may be asked twice without harm);
// and that a panic costs one request.
//
//	p := pipeline.New(pipeline.Options{Snapshot: compiler.Current, Backends: gate, ...})
//	frontgate.New(frontgate.Options{Handler: p.Serve, ...})
package pipeline

import (
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/sallyport/sallyport/internal/backgate"
	"github.com/sallyport/sallyport/internal/frontgate"
	"github.com/sallyport/sallyport/internal/httpwire"
	"github.com/sallyport/sallyport/internal/snapshot"
	"github.com/sallyport/sallyport/internal/telemetry"
)

// Options configure New. Snapshot and Backends are required.
type Options struct {
	Snapshot func() *snapshot.Snapshot // the one in force
	Backends *backgate.Gate
	Region   string // us-east-1
	Account  string // 12 digits
	// Logs takes access and execution logs; nil: none are written.
	Logs    *telemetry.Groups
	Metrics *telemetry.Metrics // may be nil
	Log     *slog.Logger       // nil: discarded
	Now     func() time.Time   // nil: time.Now
}

// Pipeline answers requests. Safe for concurrent use.
type Pipeline struct {
	options Options
	current func() configuration
	log     *quietLog
	arn     string    // what every method ARN begins with
	pool    sync.Pool // *exchange
	memory  memory    // of bodies
}

// configuration is what a request asks of its snapshot.
type configuration interface {
	frontgate.Names
	API(id string) *snapshot.API
}

// New returns a pipeline.
func New(o Options) *Pipeline {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	p := &Pipeline{options: o, log: newQuietLog(o.Log, o.Now), arn: "arn:aws:execute-api:" + o.Region + ":" + o.Account + ":"}
	p.memory.limit = maxKept
	p.current = func() configuration { return o.Snapshot() }
	p.pool.New = func() any {
		e := new(exchange)
		e.inform = e.passInterim
		return e
	}
	return p
}

// A step does one thing for a request. It returns nil when the request goes
// on, else what the client is told.
type step struct {
	name string
	do   func(*exchange) *fault
}

// steps are the way of every request, in order. Logs and documents take the
// names from here.
var steps = []step{
	{"identity", (*exchange).identify},           // request ids
	{"host", (*exchange).findName},               // what the Host stands for
	{"access mode", (*exchange).admit},           // may this connection ask for it
	{"domain guard", (*exchange).guardName},      // guards on the name not built yet
	{"search domain", (*exchange).search},        // goes to its cluster, and no further
	{"base path", (*exchange).findStage},         // API and stage
	{"size", (*exchange).limitBody},              // of the body as declared
	{"stage guard", (*exchange).guardStage},      // guards on the stage not built yet
	{"resource policy", (*exchange).applyPolicy}, // a private API without one denies all
	{"method", (*exchange).findMethod},           // resource and verb
	{"method guard", (*exchange).guardMethod},    // guards on the method not built yet
	{"integration", (*exchange).integrate},       // through the second gate
}

// Serve answers one exchange.
func (p *Pipeline) Serve(x *httpwire.Exchange) {
	e := p.pool.Get().(*exchange)
	e.begin(p, x)
	defer e.end()
	for i := range steps {
		if f := steps[i].do(e); f == answered {
			return
		} else if f != nil {
			f.step = steps[i].name
			e.refuse(f)
			return
		}
	}
}

// end writes the access log and counts, also after a panic.
func (e *exchange) end() {
	if v := recover(); v != nil {
		e.p.options.Metrics.Panic()
		e.p.options.Log.Error("panic in a request", "panic", v, "request_id", e.requestID, "conn", e.x.Conn.ID, "stack", string(debug.Stack()))
		if e.x.Started() {
			e.x.Abort()
		} else {
			e.refuse(newFault(apiConfigurationError, "panic"))
		}
	}
	var api, stage string
	if e.stage != nil {
		api, stage = e.stage.API, e.stage.Name
		e.writeAccessLog()
	}
	if e.trace != nil {
		e.closeTrace()
	}
	e.p.options.Metrics.Request(api, stage, e.status)
	p := e.p
	e.release(e.taken)
	e.reset()
	p.pool.Put(e)
}

func (e *exchange) writeAccessLog() {
	logs := e.p.options.Logs
	if logs == nil || e.stage.AccessLog == nil || e.unlogged {
		return
	}
	e.finished = e.p.options.Now()
	e.line = e.stage.AccessLog.Format.Append(e.line[:0], e)
	logs.Group(e.stage.AccessLog.Group).Write(e.line)
}

// quietLog says the same thing at most once a minute, since strangers decide
// how often it happens.
type quietLog struct {
	log  *slog.Logger
	now  func() time.Time
	mu   sync.Mutex
	said map[string]time.Time
}

const (
	quietFor = time.Minute
	maxSaid  = 4096
)

func newQuietLog(log *slog.Logger, now func() time.Time) *quietLog {
	return &quietLog{log: log, now: now, said: map[string]time.Time{}}
}

// warn logs message unless it was logged for the same subject just now.
func (q *quietLog) warn(message, subject string, attributes ...any) {
	key, now := message+"\x00"+subject, q.now()
	q.mu.Lock()
	last, ok := q.said[key]
	if ok && now.Sub(last) < quietFor {
		q.mu.Unlock()
		return
	}
	if len(q.said) >= maxSaid {
		clear(q.said)
	}
	q.said[key] = now
	q.mu.Unlock()
	q.log.Warn(message, attributes...)
}
