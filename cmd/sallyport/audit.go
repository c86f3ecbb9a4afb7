package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sallyport/sallyport/internal/account"
	"github.com/sallyport/sallyport/internal/baseline"
	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/controls"
	"github.com/sallyport/sallyport/internal/evidence"
	"github.com/sallyport/sallyport/internal/gateway"
	"github.com/sallyport/sallyport/internal/posture"
	"github.com/sallyport/sallyport/internal/remedy"
	"github.com/sallyport/sallyport/internal/report"
	"github.com/sallyport/sallyport/internal/template"
)

// auditOrder is what a command line of audit asks for.
type auditOrder struct {
	sources     []string
	controls    []string
	severity    string
	mode        string
	parameters  []string // CONTROL.NAME=VALUE[,VALUE]
	allowLists  []string // CONTROL=YYYY-MM
	regions     []string
	probes      []string // HOST[:PORT][=HOST:PORT]
	doors       bool
	concurrency int
	baseline    string
	accept      string // file to write a baseline to
	file        string
	output      string
	out         string
	all         bool

	options posture.Options
	values  map[string]string // what a person chose for the remediations
}

// auditSettings are the settings that find a running gateway.
var auditSettings = []string{"data-dir", "admin", "region"}

func auditCommand() *cobra.Command {
	var o auditOrder
	cmd := &cobra.Command{
		Use:   "audit [PATH...]",
		Short: "Judge this gateway, an AWS account or templates by Security Hub's controls, with proof",
		Long: "Evaluate the API Gateway controls of AWS Security Hub, and those of search domains and\n" +
			"certificates beside them, exactly as AWS decides them, on three kinds of source:\n\n" +
			"  self   the gateway that runs on the data folder (the default)\n" +
			"  aws    an AWS account, or any endpoint that speaks its API (AWS_ENDPOINT_URL), with the\n" +
			"         credentials and Region that the AWS CLI would use; only read\n" +
			"  PATH   CloudFormation and SAM templates, Terraform plans as JSON, or folders of them\n\n" +
			"What cannot be told is UNKNOWN, with the reason, and never PASSED. What no change can close is\n" +
			"UNFIXABLE. Exit code 0: nothing fails that is not accepted; 1: something does; 2: the command\n" +
			"line is wrong, or nothing could be judged.",
		Example: "  sallyport audit\n" +
			"  sallyport audit --source aws --region eu-central-1 -o html --output-file report.html\n" +
			"  sallyport audit template.yaml plan.json --mode proactive -o sarif\n" +
			"  sallyport audit --control APIGateway.11 --severity MEDIUM\n" +
			"  sallyport audit --source aws --probe api.example.com\n" +
			"  sallyport audit explain APIGateway.2",
		Args: func(*cobra.Command, []string) error { return nil },
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd, args) },
	}
	f := cmd.Flags()
	f.SortFlags = false
	o.flags(f)
	f.StringVar(&o.baseline, "baseline", "", "`FILE` (YAML) of findings that are accepted, each with a reason")
	f.StringVar(&o.accept, "write-baseline", "", "write a baseline that accepts every open finding to `FILE`")
	f.StringVarP(&o.output, "output", "o", "table", "output form: "+strings.Join(report.Formats(), ", "))
	f.StringVar(&o.out, "output-file", "", "`FILE` to write the report to, instead of standard output")
	f.BoolVar(&o.all, "all", false, "the table also lists what passes or does not apply")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(report.Formats(), cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("control", completeControls)
	_ = cmd.RegisterFlagCompletionFunc("severity", cobra.FixedCompletions(severities(), cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("mode", cobra.FixedCompletions([]string{"live", "proactive"}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("parameter", cobra.FixedCompletions(settable(), cobra.ShellCompDirectiveNoFileComp|cobra.ShellCompDirectiveNoSpace))
	_ = cmd.RegisterFlagCompletionFunc("allow-list", cobra.FixedCompletions(lists(), cobra.ShellCompDirectiveNoFileComp))
	for _, name := range []string{"regions", "probe", "concurrency"} {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions)
	}
	_ = cmd.RegisterFlagCompletionFunc("source", cobra.FixedCompletions([]string{"self", "aws"}, cobra.ShellCompDirectiveDefault))
	cmd.AddCommand(auditExplain(), auditFix())
	return cmd
}

// flags are those that say what is judged, and how.
func (o *auditOrder) flags(f *pflag.FlagSet) {
	f.StringArrayVar(&o.sources, "source", nil, "`SOURCE`: self, aws, or a path; may be given several times")
	f.StringSliceVar(&o.controls, "control", nil, "`ID` of a control to evaluate (default all); may be given several times")
	f.StringVar(&o.severity, "severity", "", "only findings of this severity or above: "+strings.Join(severities(), ", "))
	f.StringVar(&o.mode, "mode", string(posture.Live), "live, as Security Hub judges what exists, or proactive, AWS's stricter rules before a deployment")
	f.StringArrayVar(&o.parameters, "parameter", nil, "`CONTROL.NAME=VALUE` of a control's parameter, such as APIGateway.1.loggingLevel=ERROR")
	f.StringArrayVar(&o.allowLists, "allow-list", nil, "`CONTROL=YYYY-MM`: judge by the list that AWS used then")
	f.StringSliceVar(&o.regions, "regions", nil, "`REGIONS` of the account to read (default the one that the AWS CLI would use)")
	f.IntVar(&o.concurrency, "concurrency", 8, "calls to the account at a time, 1 to 64")
	f.StringArrayVar(&o.probes, "probe", nil, "`HOST[:PORT][=HOST:PORT]`: prove what is said of this name by handshakes with it; no other host is touched")
	f.BoolVar(&o.doors, "doors", false, "try the backends of this gateway's stages: do they let in a caller who shows no client certificate?")
	f.StringVar(&o.file, "config", "", "configuration `FILE` (YAML) of the gateway")
	for _, name := range auditSettings {
		addFlag(f, config.KeyNamed(name))
	}
}

func severities() []string {
	var out []string
	for _, s := range posture.Severities() {
		out = append(out, string(s))
	}
	return out
}

func completeControls(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var ids []string
	for _, c := range controls.All {
		ids = append(ids, c.ID)
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}

// settable are the parameters that --parameter takes, up to their values.
func settable() (out []string) {
	for _, c := range controls.All {
		for _, p := range c.Parameters {
			if p.Customizable {
				out = append(out, c.ID+"."+p.Name+"=")
			}
		}
	}
	return out
}

// lists are what --allow-list takes.
func lists() (out []string) {
	for _, c := range controls.All {
		for _, l := range c.AllowLists {
			out = append(out, c.ID+"="+l.AsOf)
		}
	}
	return out
}

func auditExplain() *cobra.Command {
	return &cobra.Command{
		Use:               "explain ID",
		Short:             "Explain a control: what it checks, why it matters, how to fix it, when it is wrong",
		Args:              exactly("ID"),
		ValidArgsFunction: completeControls,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, ok := controls.Lookup(args[0])
			if !ok {
				return unknownControl(args[0])
			}
			_, err := io.WriteString(cmd.OutOrStdout(), c.Explain())
			return err
		},
	}
}

func unknownControl(id string) error {
	var ids []string
	for _, c := range controls.All {
		ids = append(ids, c.ID)
	}
	return hinted{usageError{fmt.Errorf("unknown control %q", id)}, "there are " + strings.Join(ids, ", ")}
}

// errNothing ends a run in which nothing could be judged. Its exit code is that
// of a wrong command line: there are no findings to speak of.
type errNothing struct{ error }

func (e errNothing) Unwrap() error { return e.error }

func (o *auditOrder) run(cmd *cobra.Command, args []string) error {
	if !slices.Contains(report.Formats(), o.output) {
		return hinted{usageError{fmt.Errorf("unknown output form %q", o.output)}, "there are " + strings.Join(report.Formats(), ", ")}
	}
	var accepted *baseline.Baseline
	if o.baseline != "" {
		var err error
		if accepted, err = baseline.Load(o.baseline); err != nil {
			return usageError{err}
		}
	}
	r, err := o.judge(cmd, args)
	if err != nil {
		return err
	}
	if accepted != nil {
		for _, line := range accepted.Apply(r, time.Now()) {
			fmt.Fprintln(cmd.ErrOrStderr(), "note:", line)
		}
	}
	if err := o.write(cmd, r); err != nil {
		return err
	}
	open := 0
	for i := range r.Findings {
		if r.Findings[i].Open() {
			open++
		}
	}
	switch {
	case open == 1:
		return hinted{errors.New("1 finding is open"), "sallyport audit explain ID says what a control wants, sallyport audit fix what to do"}
	case open > 1:
		return hinted{fmt.Errorf("%d findings are open", open), "sallyport audit explain ID says what a control wants, sallyport audit fix what to do"}
	}
	return nil
}

// judge collects and evaluates what the command line asks for.
func (o *auditOrder) judge(cmd *cobra.Command, args []string) (*posture.Report, error) {
	all, err := o.chosen()
	if err != nil {
		return nil, err
	}
	if err := o.settle(); err != nil {
		return nil, err
	}
	self, live, paths := false, false, slices.Clone(args)
	for _, s := range o.sources {
		switch s {
		case "self":
			self = true
		case "aws":
			live = true
		default:
			paths = append(paths, s)
		}
	}
	self = self || !live && len(paths) == 0
	switch {
	case self && (o.mode != string(posture.Live) || len(o.parameters)+len(o.allowLists) > 0):
		return nil, hinted{usageError{errors.New("the gateway judges itself live, by the parameters that it was given")},
			"aws securityhub update-security-control sets them; --mode, --parameter and --allow-list go with other sources"}
	case !self && o.doors:
		return nil, hinted{usageError{errors.New("--doors tries the backends of the running gateway, which is not among the sources")}, "add --source self"}
	}
	found := new(posture.Collection)
	var problems []error
	if len(paths) > 0 {
		c, err := template.Read(paths, template.Options{})
		if err != nil {
			problems = append(problems, err)
		} else {
			found.Add(c)
		}
	}
	if live {
		c, err := o.account(cmd)
		if err != nil {
			problems = append(problems, err)
		} else {
			found.Add(c)
		}
	}
	r, err := posture.Evaluate(all, slices.Values(found.Resources), o.options)
	if err != nil {
		return nil, usageError{err}
	}
	r.Problems = found.Problems
	remedy.Attach(r, found.Resources, remedy.Context{Endpoint: os.Getenv("AWS_ENDPOINT_URL"), Values: o.values})
	if err := o.prove(cmd, r); err != nil {
		return nil, err
	}
	if self {
		if err := o.self(cmd, all, r); err != nil {
			problems = append(problems, err)
		}
	}
	if r.Summary.Resources == 0 && len(problems)+len(r.Problems) > 0 {
		for _, p := range r.Problems {
			problems = append(problems, fmt.Errorf("%s: %s", p.Where, p.Text))
		}
		return nil, errNothing{errors.Join(problems...)}
	}
	for _, err := range problems {
		r.Problems = append(r.Problems, posture.Problem{Where: "source", Text: err.Error()})
	}
	o.keepSevere(r)
	e, err := posture.New(all, o.options)
	if err != nil {
		return nil, usageError{err}
	}
	n := r.Summary.Resources
	unjudged := r.Summary.Unjudged
	r.Summary = e.Summarize(r.Findings)
	r.Summary.Resources, r.Summary.Unjudged = n, unjudged
	return r, nil
}

// chosen are the controls to evaluate.
func (o *auditOrder) chosen() ([]*posture.Control, error) {
	if len(o.controls) == 0 {
		return controls.All, nil
	}
	var some []*posture.Control
	for _, id := range o.controls {
		c, ok := controls.Lookup(id)
		if !ok {
			return nil, unknownControl(id)
		}
		if !slices.Contains(some, c) {
			some = append(some, c)
		}
	}
	return some, nil
}

// settle reads the flags that say how to judge.
func (o *auditOrder) settle() error {
	o.options = posture.Options{Now: time.Now().UTC(), Params: map[string]posture.Values{}, AllowLists: map[string]string{}}
	switch o.mode {
	case string(posture.Live), string(posture.Proactive):
		o.options.Mode = posture.Mode(o.mode)
	default:
		return hinted{usageError{fmt.Errorf("unknown mode %q", o.mode)}, "there are live and proactive"}
	}
	if o.severity = strings.ToUpper(o.severity); o.severity != "" && !slices.Contains(severities(), o.severity) {
		return hinted{usageError{fmt.Errorf("unknown severity %q", o.severity)}, "there are " + strings.Join(severities(), ", ")}
	}
	for _, p := range o.parameters {
		name, value, ok := strings.Cut(p, "=")
		dot := strings.LastIndexByte(name, '.')
		if !ok || dot < 0 {
			return hinted{usageError{fmt.Errorf("--parameter %q is not CONTROL.NAME=VALUE", p)}, "such as APIGateway.1.loggingLevel=ERROR"}
		}
		c, found := controls.Lookup(name[:dot])
		if !found {
			return unknownControl(name[:dot])
		}
		if o.options.Params[c.ID] == nil {
			o.options.Params[c.ID] = posture.Values{}
		}
		o.options.Params[c.ID][name[dot+1:]] = strings.Split(value, ",")
	}
	for _, l := range o.allowLists {
		id, date, ok := strings.Cut(l, "=")
		c, found := controls.Lookup(id)
		if !ok || !found {
			return hinted{usageError{fmt.Errorf("--allow-list %q is not CONTROL=YYYY-MM", l)}, "such as Opensearch.8=2023-12"}
		}
		o.options.AllowLists[c.ID] = date
	}
	if o.concurrency < 1 || o.concurrency > 64 {
		return hinted{usageError{fmt.Errorf("--concurrency %d", o.concurrency)}, "1 to 64"}
	}
	return nil
}

// account reads an AWS account, with progress on a terminal.
func (o *auditOrder) account(cmd *cobra.Command) (*posture.Collection, error) {
	c, err := awsconfig.LoadDefaultConfig(cmd.Context())
	if err != nil {
		return nil, err
	}
	if f := cmd.Flags().Lookup("region"); f.Changed {
		c.Region = strings.Trim(f.Value.String(), "[]")
	}
	options := account.Options{Config: c, Regions: o.regions, Concurrency: o.concurrency}
	if isTerminal(cmd.ErrOrStderr()) {
		options.Progress = func(done, total int, what string) {
			fmt.Fprintf(cmd.ErrOrStderr(), "\r\x1b[K%s %d of %d calls: %s", bar(done, total), done, total, what)
			if done == total {
				fmt.Fprint(cmd.ErrOrStderr(), "\r\x1b[K")
			}
		}
	}
	found, err := account.Scan(cmd.Context(), options)
	if err != nil {
		return nil, hinted{err, "credentials and Region are those of the AWS CLI: aws sts get-caller-identity shows them"}
	}
	return found, nil
}

func bar(done, total int) string {
	const cells = 20
	n := cells * done / max(total, 1)
	return "[" + strings.Repeat("#", n) + strings.Repeat(".", cells-n) + "]"
}

// isTerminal reports whether people read w as it is written.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// columns is how wide the terminal is as far as the shell says so, else 0:
// lines that are too long are better wrapped than cut.
func columns() int {
	n, err := strconv.Atoi(os.Getenv("COLUMNS"))
	if err != nil || n < 40 {
		return 0
	}
	return n
}

// self asks the running gateway for its own findings.
func (o *auditOrder) self(cmd *cobra.Command, all []*posture.Control, into *posture.Report) error {
	c, err := config.Load(config.Sources{File: o.file, Flags: givenFlags(cmd.Flags()), Getenv: os.LookupEnv})
	if err != nil {
		return settingsError(err)
	}
	admin := ""
	if cmd.Flags().Changed("admin") {
		admin = c.Admin
	}
	g, err := findRunning(c.DataDir, admin, c.Region)
	if err != nil {
		return err
	}
	if g == nil {
		return hinted{fmt.Errorf("no gateway runs on %s", c.DataDir), "--data-dir or --admin finds another; --source aws or a path judges something else"}
	}
	var own posture.Report
	query := url.Values{}
	if o.doors {
		query.Set("doors", "true")
	}
	if err := g.get(cmd.Context(), gateway.AuditPath, query, &own); err != nil {
		return err
	}
	for _, f := range own.Findings {
		if slices.ContainsFunc(all, func(c *posture.Control) bool { return c.ID == f.Control }) {
			into.Findings = append(into.Findings, f)
		}
	}
	into.Summary.Resources += own.Summary.Resources
	into.Summary.Unjudged += own.Summary.Unjudged
	into.Problems = append(into.Problems, own.Problems...)
	return nil
}

// keepSevere drops the findings below the severity that is asked for.
func (o *auditOrder) keepSevere(r *posture.Report) {
	if o.severity == "" {
		return
	}
	most := slices.Index(severities(), o.severity)
	r.Findings = slices.DeleteFunc(r.Findings, func(f posture.Finding) bool { return slices.Index(severities(), string(f.Severity)) > most })
}

// prove probes the hosts that are named, and no other.
func (o *auditOrder) prove(cmd *cobra.Command, r *posture.Report) error {
	targets, err := o.probeTargets()
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	asked := map[string]bool{}
	var dialer net.Dialer
	for i := range r.Findings {
		f := &r.Findings[i]
		if f.Expect == nil {
			continue
		}
		host := strings.ToLower(f.Expect.Host)
		address, ok := targets[host]
		if !ok {
			continue
		}
		asked[host] = true
		limited, cancel := context.WithTimeout(ctx, probeTime)
		f.Witness(evidence.Probe(limited, f.Expect, address, func(ctx context.Context) (net.Conn, error) {
			return dialer.DialContext(ctx, "tcp", address)
		}))
		cancel()
	}
	for _, host := range slices.Sorted(maps.Keys(targets)) {
		if !asked[host] {
			fmt.Fprintf(cmd.ErrOrStderr(), "note: %s was not probed: no finding of an account or a template says what it should show\n", host)
		}
	}
	return ctx.Err()
}

// probeTargets are the hosts that are named, each with what is dialed for it.
func (o *auditOrder) probeTargets() (map[string]string, error) {
	targets := map[string]string{}
	for _, p := range o.probes {
		at, dial, other := strings.Cut(p, "=")
		address, host, err := probeTarget(at)
		if err == nil && host == "" {
			err = hinted{usageError{fmt.Errorf("--probe %q names no host", p)}, "such as api.example.com or api.example.com=127.0.0.1:8443"}
		}
		if err != nil {
			return nil, err
		}
		if other {
			if _, _, err := net.SplitHostPort(dial); err != nil {
				return nil, hinted{usageError{fmt.Errorf("--probe %q: %q is not HOST:PORT", p, dial)}, "such as api.example.com=127.0.0.1:8443"}
			}
			address = dial
		}
		targets[strings.ToLower(host)] = address
	}
	return targets, nil
}

// write puts the report where it is to go.
func (o *auditOrder) write(cmd *cobra.Command, r *posture.Report) error {
	m := report.Meta{Version: thisVersion().Version, All: o.all, Region: os.Getenv("AWS_REGION")}
	if f := cmd.Flags().Lookup("region"); f.Changed {
		m.Region = strings.Trim(f.Value.String(), "[]")
	}
	if o.accept != "" {
		text, err := baseline.Of(r, "accepted on "+time.Now().UTC().Format(time.DateOnly)+"; say why", "")
		if err == nil {
			err = os.WriteFile(o.accept, text, 0o644)
		}
		if err != nil {
			return err
		}
	}
	if o.out == "" {
		if isTerminal(cmd.OutOrStdout()) {
			_, plain := os.LookupEnv("NO_COLOR")
			m.Color, m.Width = !plain, columns()
		}
		return report.Write(cmd.OutOrStdout(), o.output, r, m)
	}
	var text bytes.Buffer
	if err := report.Write(&text, o.output, r, m); err != nil {
		return err
	}
	return os.WriteFile(o.out, text.Bytes(), 0o644)
}
