// Package gateway puts the rooms together into one running program: store,
// control plane, snapshot, the two gates and the pipeline between them. It is a
// value with Run and Close, so a test starts the very program.
//
//	g, err := gateway.Open(ctx, gateway.Options{Config: c, Log: log})
//	defer g.Close()
//	err = g.Run(ctx) // until ctx ends, then drains
package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/internal/auditor"
	"github.com/sallyport/sallyport/internal/backgate"
	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/controlplane"
	"github.com/sallyport/sallyport/internal/controlplane/acm"
	"github.com/sallyport/sallyport/internal/controlplane/apigateway"
	"github.com/sallyport/sallyport/internal/controlplane/apigatewayv2"
	"github.com/sallyport/sallyport/internal/controlplane/configservice"
	"github.com/sallyport/sallyport/internal/controlplane/opensearch"
	"github.com/sallyport/sallyport/internal/controlplane/securityhub"
	"github.com/sallyport/sallyport/internal/controlplane/sts"
	"github.com/sallyport/sallyport/internal/doctor"
	"github.com/sallyport/sallyport/internal/frontgate"
	"github.com/sallyport/sallyport/internal/pipeline"
	"github.com/sallyport/sallyport/internal/pki"
	"github.com/sallyport/sallyport/internal/resource"
	"github.com/sallyport/sallyport/internal/snapshot"
	"github.com/sallyport/sallyport/internal/store/bolt"
	"github.com/sallyport/sallyport/internal/telemetry"
	"github.com/sallyport/sallyport/tlspolicy"
)

// drainTimeout bounds how long a stop waits for requests under way.
const drainTimeout = 30 * time.Second

// node is this process's name in the store.
const node = "local"

// Options configure Open.
type Options struct {
	Config config.Config
	Log    *slog.Logger
	Now    func() time.Time // nil: time.Now
	// Prepare is called once by Run, when everything is served but before
	// /readyz and runtime.json say so; its error ends Run. May be nil.
	Prepare func(context.Context, Runtime) error
	// Ready is called once by Run, when all say that it is ready. May be nil.
	Ready func(Runtime)
	// Roots are trusted for backends beside the system's and the bundles'.
	Roots []*x509.Certificate
	// Resolver finds the addresses of backends; nil: the system's.
	Resolver *net.Resolver
}

// Gateway is a running gateway. Its methods are safe for concurrent use.
type Gateway struct {
	log         *slog.Logger
	prepare     func(context.Context, Runtime) error
	tellReady   func(Runtime)
	now         func() time.Time
	ca          *pki.CA
	store       *bolt.Store
	compiler    *snapshot.Compiler
	gate        atomic.Pointer[frontgate.Gate] // set once; the snapshot's hooks may run before
	backends    *backgate.Gate
	groups      *telemetry.Groups
	metrics     *telemetry.Metrics
	auditor     *auditor.Auditor
	prober      *prober
	clients     clients
	doctor      *doctor.Doctor
	admin       *http.Server
	adminSocket net.Listener
	listeners   []frontgate.Listener
	ready       atomic.Bool
	runtime     Runtime
	roots       []*x509.Certificate // Options.Roots

	mu     sync.Mutex
	config config.Config // as last applied
}

// Open prepares everything and listens, but serves nothing yet. What it
// refuses, it refuses with the file and the reason, and leaves no listener.
func Open(ctx context.Context, o Options) (g *Gateway, err error) {
	c := o.Config
	if o.Now == nil {
		o.Now = time.Now
	}
	g = &Gateway{log: o.Log, now: o.Now, prepare: o.Prepare, tellReady: o.Ready, roots: o.Roots, config: c}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.Close())
			g = nil
		}
	}()
	proofs := provePolicies(o.Log)
	if err := pki.MakeDir(c.DataDir); err != nil {
		return g, fmt.Errorf("data folder: %w", err)
	}
	if err := checkOwn(c.DataDir); err != nil {
		return g, fmt.Errorf("data folder: %w", err)
	}
	// The store's lock keeps a second process out of the folder: what comes
	// before it must not touch a file that the first one uses.
	if g.store, err = bolt.Open(filepath.Join(c.DataDir, "sallyport.db"), bolt.Options{}); err != nil {
		return g, err
	}
	g.runtime.path = filepath.Join(c.DataDir, "runtime.json")
	if err := g.runtime.remove(); err != nil {
		return g, err
	}
	sealer, err := pki.OpenSealKey(c.SealKey)
	if err != nil {
		return g, err
	}
	credentials, err := pki.EnsureCredentials(filepath.Join(c.DataDir, "credentials"))
	if err != nil {
		return g, err
	}
	if g.ca, err = pki.OpenCA(c.DataDir, sealer); err != nil {
		return g, err
	}
	g.runtime.CA, g.runtime.Credentials = g.ca.RootPath(), filepath.Join(c.DataDir, "credentials")
	leaves, err := endpointCertificates(g.ca, c)
	if err != nil {
		return g, err
	}
	g.metrics = telemetry.NewMetrics()
	if g.groups, err = telemetry.OpenGroups(filepath.Join(c.DataDir, "logs"), telemetry.GroupOptions{Log: o.Log, Metrics: g.metrics}); err != nil {
		return g, err
	}
	roots, err := backendRoots(c, o.Roots)
	if err != nil {
		return g, err
	}
	g.backends = backgate.New(backgate.Options{Roots: roots, AllowBackend: c.AllowBackends, Targets: c.Targets, Resolver: o.Resolver, Metrics: g.metrics})

	<-proofs
	if g.compiler, err = snapshot.Open(ctx, g.store, snapshot.Options{
		Node: node, Region: c.Region, Account: c.AccountID, Suffixes: c.DomainSuffixes, Sealer: sealer,
		DefaultCertificates: leaves, Log: o.Log, Now: o.Now,
		BeforeSwap: g.apply, AfterSwap: g.apply,
	}); err != nil {
		return g, err
	}
	g.metrics.ClientCertificateExpiry(func() map[string]time.Time { return expiries(g.compiler.Current().ClientCertificates()) })
	if err := g.listen(); err != nil {
		return g, err
	}
	requests := pipeline.New(pipeline.Options{
		Snapshot: g.compiler.Current, Backends: g.backends, Region: c.Region, Account: c.AccountID,
		Logs: g.groups, Metrics: g.metrics, Log: o.Log, Now: o.Now,
	})
	g.gate.Store(frontgate.New(frontgate.Options{
		Snapshot: g.compiler.Current, Listeners: g.listeners, Handler: requests.Serve,
		Connections: g.record, Log: o.Log, Now: o.Now,
	}))
	if err := g.openAuditor(ctx, o); err != nil {
		return g, err
	}
	g.admin = g.newAdmin(o, sealer, credentials, requests)
	return g, nil
}

// listen opens every socket; the runtime then knows the ports that were free.
func (g *Gateway) listen() error {
	c := g.config
	socket, err := net.Listen("tcp", c.Admin)
	if err != nil {
		return fmt.Errorf("admin address: %w", err)
	}
	g.adminSocket = socket
	g.runtime.Admin = "http://" + socket.Addr().String()
	g.runtime.Listeners = map[string]string{}
	for _, l := range c.Listen {
		socket, err := net.Listen("tcp", l.Addr)
		if err != nil {
			return fmt.Errorf("listener %s: %w", l.Type, err)
		}
		listener := frontgate.Listener{Listener: socket, Type: l.Type}
		if l.Type == "PRIVATE" {
			listener.VPC, listener.VPCEndpoint = c.VPC, c.VPCEndpoint
		}
		g.listeners = append(g.listeners, listener)
		g.runtime.Listeners[l.Type] = socket.Addr().String()
	}
	return nil
}

// newAdmin is the one admin port: the AWS services, health and metrics.
func (g *Gateway) newAdmin(o Options, sealer *pki.Sealer, credentials []pki.Credential, requests *pipeline.Pipeline) *http.Server {
	secrets := map[string]string{}
	for _, k := range credentials {
		secrets[k.AccessKeyID] = k.SecretAccessKey
	}
	c := o.Config
	services := controlplane.New(controlplane.Options{
		Store: g.store, Region: c.Region, Account: c.AccountID, Suffixes: c.DomainSuffixes, Sealer: sealer,
		Secret: func(id string) (string, bool) { secret, ok := secrets[id]; return secret, ok },
		Now:    o.Now, Log: o.Log, PropagationDelay: c.PropagationDelay, Targets: g.backends.Maps,
		TestInvoke: g.testInvoke(requests),
	})
	apigateway.Register(services)
	apigatewayv2.Register(services)
	acm.Register(services)
	opensearch.Register(services)
	sts.Register(services)
	securityhub.Register(services, g.auditor)
	configservice.Register(services, g.auditor)
	g.doctor = doctor.New(doctor.Options{Gate: g.backends, Snapshot: g.compiler.Current, Certificate: g.compiler.ClientCertificate, TrustFiles: g.trustFiles})
	services.Extend("GET "+doctor.Path, g.doctor.Diagnose)
	services.Extend("GET "+doctor.BackendsPath("{api}", "{stage}"), g.doctor.Backends)
	services.Extend("GET "+AuditPath, g.audit)

	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !g.ready.Load() {
			http.Error(w, "not ready", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	metrics := g.metrics.Handler()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		current := g.compiler.Current()
		g.metrics.Snapshot(uint64(current.Revision()), len(current.Faults()))
		metrics.ServeHTTP(w, r)
	})
	return &http.Server{
		// The mux would clean and redirect paths such as /tags/arn..%2F; AWS's paths go round it.
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/healthz", "/readyz", "/metrics":
				mux.ServeHTTP(w, r)
			default:
				services.ServeHTTP(w, r)
			}
		}),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}
}

// apply binds a snapshot that is about to come into force, or just did, to the
// connections that are open.
func (g *Gateway) apply(old, new *snapshot.Snapshot) {
	if gate := g.gate.Load(); gate != nil {
		gate.Apply(old, new)
	}
}

// record writes one record of the connection log and counts it.
func (g *Gateway) record(c telemetry.Connection) {
	if g.prober.isOwn(c.Listener, c.Peer) {
		return
	}
	g.groups.Connections(c)
	result := "ok"
	if c.Chosen == nil || c.Reason != "" {
		result = "refused"
	}
	g.metrics.Handshake(c.Policy, result)
}

// renew replaces the certificates of the default endpoints when that is due.
func (g *Gateway) renew() error {
	leaves, err := endpointCertificates(g.ca, g.config)
	if err != nil {
		return err
	}
	return g.compiler.SetDefaultCertificates(leaves)
}

func (g *Gateway) renewDaily(ctx context.Context) {
	day := time.NewTicker(24 * time.Hour)
	defer day.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-day.C:
			g.mu.Lock()
			err := g.renew()
			g.mu.Unlock()
			if err != nil {
				g.log.Error("default endpoint certificates not renewed; the old ones keep serving", "err", err)
			}
		}
	}
}

// Runtime says where the gateway is reached; its addresses are taken from Open on.
func (g *Gateway) Runtime() Runtime { return g.runtime }

// Faults are the resources that do not compile and are set aside.
func (g *Gateway) Faults() []snapshot.Fault { return g.compiler.Current().Faults() }

// Run serves until ctx ends, then drains: no new connection, requests under
// way finish, within drainTimeout. It returns nil after a clean stop.
func (g *Gateway) Run(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	gate := g.gate.Load()
	var parts sync.WaitGroup
	parts.Go(func() {
		if err := gate.Run(ctx); err != nil {
			stop(fmt.Errorf("first gate: %w", err))
		}
	})
	parts.Go(func() {
		if err := g.admin.Serve(g.adminSocket); !errors.Is(err, http.ErrServerClosed) {
			stop(fmt.Errorf("control plane: %w", err))
		}
	})
	parts.Go(func() { g.renewDaily(ctx) })
	parts.Go(func() { g.watchExpiry(ctx) })
	parts.Go(func() { g.runAuditor(ctx) })
	parts.Go(func() { g.prober.run(ctx) })
	if err := g.becomeReady(ctx); err != nil && ctx.Err() == nil {
		stop(err)
	}
	<-ctx.Done()

	g.ready.Store(false)
	g.log.Info("draining")
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	var adminErr error
	parts.Go(func() { // side by side: a slow call must not use up the time of the requests
		if adminErr = g.admin.Shutdown(drain); adminErr != nil {
			adminErr = fmt.Errorf("control plane calls were cut: not done %v after the stop: %w", drainTimeout, adminErr)
		}
	})
	err := g.runtime.remove()
	if cut := gate.Shutdown(drain); cut != nil {
		err = errors.Join(err, fmt.Errorf("connections were cut: not done %v after the stop: %w", drainTimeout, cut))
	}
	parts.Wait()
	err = errors.Join(err, adminErr)
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		err = errors.Join(cause, err)
	}
	g.log.Info("stopped")
	return err
}

func (g *Gateway) becomeReady(ctx context.Context) error {
	if g.prepare != nil {
		if err := g.prepare(ctx, g.runtime); err != nil {
			return err
		}
	}
	g.ready.Store(true)
	if err := g.runtime.write(); err != nil {
		return err
	}
	if g.tellReady != nil {
		g.tellReady(g.runtime)
	}
	g.log.Info("ready", "admin", g.runtime.Admin, "listeners", g.runtime.Listeners, "revision", g.compiler.Current().Revision())
	return nil
}

// Close frees what Open took. It is for after Run, or instead of it.
func (g *Gateway) Close() error {
	var errs []error
	if g.adminSocket != nil {
		errs = append(errs, ignoreClosed(g.adminSocket.Close()))
	}
	for _, l := range g.listeners {
		errs = append(errs, ignoreClosed(l.Close()))
	}
	if g.compiler != nil {
		g.compiler.Close()
	}
	if g.backends != nil {
		g.backends.Close()
	}
	if g.groups != nil {
		errs = append(errs, g.groups.Close())
	}
	if g.store != nil {
		errs = append(errs, g.store.Close())
	}
	return errors.Join(errs...)
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// provePolicies has every policy show, by handshakes in memory, that it is
// enforced in this process; a GODEBUG setting or FIPS mode may prevent that.
// The snapshot sets aside what names a policy that failed.
func provePolicies(log *slog.Logger) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		var proofs sync.WaitGroup
		for _, p := range tlspolicy.All() {
			proofs.Go(func() {
				if err := p.Proven(); err != nil {
					log.Error("policy refused: this process cannot enforce it exactly", "policy", p.String(), "err", err)
				}
			})
		}
		proofs.Wait()
	}()
	return done
}

// endpointCertificates are those of all default endpoints, ECDSA first: its
// handshakes cost a fraction of RSA's.
func endpointCertificates(ca *pki.CA, c config.Config) ([]*tls.Certificate, error) {
	var names []string
	for _, suffix := range c.DomainSuffixes {
		names = append(names, "*.execute-api."+c.Region+"."+suffix, "*."+resource.SearchZone(c.Region, suffix))
	}
	issued, err := ca.Endpoints(names)
	if err != nil {
		return nil, err
	}
	var out []*tls.Certificate
	for i := range issued {
		out = append(out, &issued[i])
	}
	return out, nil
}

// Check says whether Open would take c, as far as files tell without writing.
func Check(c config.Config) error {
	_, err := backendRoots(c, nil)
	if dirErr := checkOwn(c.DataDir); !errors.Is(dirErr, fs.ErrNotExist) { // Open creates it
		err = errors.Join(err, dirErr)
	}
	if _, missing := os.Stat(c.SealKey); missing == nil { // Open creates a missing one
		_, sealErr := pki.OpenSealKey(c.SealKey)
		err = errors.Join(err, sealErr)
	}
	return err
}

// checkOwn refuses a folder in which anybody may put other files in the place
// of ours.
func checkOwn(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if perm := info.Mode().Perm(); perm&0o002 != 0 {
		return fmt.Errorf("%s: mode %04o lets everybody change it; hint: chmod 700 %s", dir, perm, dir)
	}
	return nil
}

// Reload applies those settings of c that may change while running, and says
// in the log which others wait for a restart. On error nothing is changed.
func (g *Gateway) Reload(c config.Config) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	roots, err := backendRoots(c, g.roots)
	if err != nil {
		return err
	}
	if err := g.renew(); err != nil {
		return err
	}
	g.backends.Configure(roots, c.AllowBackends, c.Targets)
	waiting := c.Differs(g.config)
	g.config.TrustBundles, g.config.AllowBackends, g.config.Targets = c.TrustBundles, c.AllowBackends, c.Targets
	g.log.Info("configuration reloaded", "waiting_for_restart", waiting)
	return nil
}
