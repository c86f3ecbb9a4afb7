package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/internal/auditor"
	"github.com/sallyport/sallyport/internal/baseline"
	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/doctor"
	"github.com/sallyport/sallyport/internal/gateway"
	"github.com/sallyport/sallyport/internal/posture"
	"github.com/sallyport/sallyport/internal/remedy"
)

// fixOrder is what a command line of audit fix asks for.
type fixOrder struct {
	audit     auditOrder
	with      []string // NAME=VALUE
	resources []string
	form      string
	apply     bool
	yes       bool
	strict    bool
	keepGoing bool

	values  map[string]string
	targets map[posture.Source]*remedy.Target
}

// fixForms are what --form takes, with the forms of steps that it prints.
var fixForms = []struct {
	name  string
	forms []string
}{
	{"commands", []string{posture.AWSCLI, posture.ByHand}},
	{"cloudformation", []string{posture.CloudFormation, posture.ByHand}},
	{"terraform", []string{posture.Terraform, posture.ByHand}},
	{"all", []string{posture.AWSCLI, posture.ByHand, posture.CloudFormation, posture.Terraform}},
}

func auditFix() *cobra.Command {
	var o fixOrder
	var names, forms []string
	values := ""
	for _, v := range remedy.Values {
		names = append(names, v.Name+"=")
		values += fmt.Sprintf("  %-18s %s\n", v.Name, v.What)
	}
	for _, f := range fixForms {
		forms = append(forms, f.name)
	}
	cmd := &cobra.Command{
		Use:   "fix [PATH...]",
		Short: "Print the commands that close findings and what they would break; --apply carries them out, with proof",
		Long: "Print, for each open finding, the commands for this very resource that close it, in the order to\n" +
			"run them, and what each would break. Files get the snippet to merge; they are never edited.\n\n" +
			"With --apply the commands are carried out through the same API, one resource at a time: the state\n" +
			"is recorded, the change made and awaited, the control evaluated on the resource as it is read\n" +
			"again, and the wire asked where it can be (this gateway's names, and those of --probe). What does\n" +
			"not prove itself is taken back. The first failure ends the run, unless --keep-going. The access\n" +
			"mode STRICT, the second step of APIGateway.11, is set with --strict only.\n\n" +
			"Values that only a person knows come by --with NAME=VALUE:\n\n" + values + "\n" +
			"Exit code 0: nothing is left to close; 1: something is; 2: the command line is wrong, or nothing\ncould be judged.",
		Example: "  sallyport audit fix\n" +
			"  sallyport audit fix --control APIGateway.11 --apply\n" +
			"  sallyport audit fix --source aws --resource api.example.com --probe api.example.com --apply --strict\n" +
			"  sallyport audit fix template.yaml",
		Args: func(*cobra.Command, []string) error { return nil },
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd, args) },
	}
	f := cmd.Flags()
	f.SortFlags = false
	o.audit.flags(f)
	f.StringVar(&o.audit.baseline, "baseline", "", "`FILE` (YAML) of findings that are accepted; they are left as they are")
	f.StringArrayVar(&o.resources, "resource", nil, "only resources whose id is, or ends with, `ID`; may be given several times")
	f.StringArrayVar(&o.with, "with", nil, "`NAME=VALUE` of something that only a person knows; see above")
	f.StringVar(&o.form, "form", "", "what to print: "+strings.Join(forms, ", ")+" (default commands, and for files the snippet)")
	f.BoolVar(&o.apply, "apply", false, "carry the commands out")
	f.BoolVar(&o.yes, "yes", false, "with --apply: do not ask")
	f.BoolVar(&o.strict, "strict", false, "with --apply: go on to the access mode STRICT when BASIC is proved")
	f.BoolVar(&o.keepGoing, "keep-going", false, "with --apply: go on after a failure")
	f.StringVarP(&o.audit.output, "output", "o", "text", "output form: text, json")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("form", cobra.FixedCompletions(forms, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("with", cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp|cobra.ShellCompDirectiveNoSpace))
	_ = cmd.RegisterFlagCompletionFunc("resource", cobra.NoFileCompletions)
	_ = cmd.RegisterFlagCompletionFunc("control", completeControls)
	_ = cmd.RegisterFlagCompletionFunc("severity", cobra.FixedCompletions(severities(), cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("source", cobra.FixedCompletions([]string{"self", "aws"}, cobra.ShellCompDirectiveDefault))
	return cmd
}

// settle reads the flags that are this command's own.
func (o *fixOrder) settle(cmd *cobra.Command) error {
	usage := func(hint, format string, a ...any) error { return hinted{usageError{fmt.Errorf(format, a...)}, hint} }
	if o.audit.output != "text" && o.audit.output != "json" {
		return usage("there are text and json", "unknown output form %q", o.audit.output)
	}
	if o.form != "" && !slices.ContainsFunc(fixForms, func(f struct {
		name  string
		forms []string
	}) bool {
		return f.name == o.form
	}) {
		return usage("there are commands, cloudformation, terraform, all", "unknown --form %q", o.form)
	}
	for _, name := range []string{"yes", "strict", "keep-going"} {
		if cmd.Flags().Changed(name) && !o.apply {
			return usage("without --apply nothing is changed", "--%s goes with --apply", name)
		}
	}
	o.values = map[string]string{}
	for _, w := range o.with {
		name, value, ok := strings.Cut(w, "=")
		if !ok || value == "" || !slices.ContainsFunc(remedy.Values, func(v remedy.Value) bool { return v.Name == name }) {
			return usage("sallyport audit fix --help lists the names", "--with %q is not NAME=VALUE", w)
		}
		o.values[name] = value
	}
	return nil
}

func (o *fixOrder) run(cmd *cobra.Command, args []string) error {
	if err := o.settle(cmd); err != nil {
		return err
	}
	var accepted *baseline.Baseline
	if o.audit.baseline != "" {
		var err error
		if accepted, err = baseline.Load(o.audit.baseline); err != nil {
			return usageError{err}
		}
	}
	o.audit.values = o.values
	report, err := o.audit.judge(cmd, args)
	if err != nil {
		return err
	}
	if accepted != nil {
		for _, line := range accepted.Apply(report, time.Now()) {
			fmt.Fprintln(cmd.ErrOrStderr(), "note:", line)
		}
	}
	if len(o.resources) > 0 {
		report.Findings = slices.DeleteFunc(report.Findings, func(f posture.Finding) bool {
			return !slices.ContainsFunc(o.resources, func(id string) bool { return strings.HasSuffix(f.Resource.ID, id) })
		})
	}
	for _, p := range report.Problems {
		fmt.Fprintf(cmd.ErrOrStderr(), "note: not judged: %s: %s\n", p.Where, p.Text)
	}
	plan := remedy.PlanOf(report)
	o.targets = map[posture.Source]*remedy.Target{}
	if err := o.complete(cmd, plan); err != nil {
		return err
	}
	if !o.apply {
		return o.print(cmd, plan)
	}
	return o.carryOut(cmd, plan)
}

// complete writes the steps anew with what this command line knows, for the
// resources that it can change.
func (o *fixOrder) complete(cmd *cobra.Command, plan *remedy.Plan) error {
	for _, item := range plan.Items {
		f := item.Finding
		if f.Resource.Source == posture.File {
			continue
		}
		t, err := o.target(cmd, f.Resource.Source)
		if err != nil {
			return err
		}
		r, err := t.Read(cmd.Context(), f.Resource)
		if err != nil {
			fmt.Fprintln(cmd.ErrOrStderr(), "note:", err)
			continue
		}
		f.Remediation = remedy.Steps(f, r, t.Context)
	}
	return cmd.Context().Err()
}

// target is where findings of a source are closed.
func (o *fixOrder) target(cmd *cobra.Command, s posture.Source) (*remedy.Target, error) {
	if t := o.targets[s]; t != nil {
		return t, nil
	}
	var t *remedy.Target
	var err error
	if s == posture.Self {
		t, err = o.gateway(cmd)
	} else {
		t, err = o.account(cmd)
	}
	if err != nil {
		return nil, err
	}
	roles := map[string]*string{}
	t.Strict, t.Context.Values = o.strict, o.values
	t.Context.LogRole = func(region string) *string {
		role, asked := roles[region]
		if !asked {
			role = t.LogRole(cmd.Context(), region)
			roles[region] = role
		}
		return role
	}
	o.targets[s] = t
	return t, nil
}

// account is an AWS account, or what speaks its API.
func (o *fixOrder) account(cmd *cobra.Command) (*remedy.Target, error) {
	c, err := awsconfig.LoadDefaultConfig(cmd.Context())
	if err != nil {
		return nil, err
	}
	probes, err := o.audit.probeTargets()
	if err != nil {
		return nil, err
	}
	return &remedy.Target{Config: c, Context: remedy.Context{Endpoint: os.Getenv("AWS_ENDPOINT_URL")}, Dial: func(w *posture.Wire) (string, func(context.Context) (net.Conn, error)) {
		return dialer(probes[strings.ToLower(w.Host)])
	}}, nil
}

// gateway is the gateway that runs on the data folder.
func (o *fixOrder) gateway(cmd *cobra.Command) (*remedy.Target, error) {
	c, err := config.Load(config.Sources{File: o.audit.file, Flags: givenFlags(cmd.Flags()), Getenv: os.LookupEnv})
	if err != nil {
		return nil, settingsError(err)
	}
	admin := ""
	if cmd.Flags().Changed("admin") {
		admin = c.Admin
	}
	g, err := findRunning(c.DataDir, admin, c.Region)
	if err != nil {
		return nil, err
	}
	if g == nil {
		return nil, fmt.Errorf("no gateway runs on %s any more", c.DataDir)
	}
	t := &remedy.Target{
		Config: aws.Config{Region: c.Region, BaseEndpoint: &g.admin,
			Credentials: credentials.NewStaticCredentialsProvider(g.key.AccessKeyID, g.key.SecretAccessKey, g.key.SessionToken)},
		NotInEffect: auditor.NotInEffect,
		Context: remedy.Context{Endpoint: g.admin,
			Readiness: func(api, stage string) []string { return readiness(cmd.Context(), g, api, stage) }},
		Backends: func(ctx context.Context, api, stage string) (map[string]string, error) {
			return backends(ctx, g, api, stage)
		},
	}
	if admin == "" { // its folder is here
		seen, err := remedy.ReadSeen(c.DataDir)
		if err != nil {
			return nil, fmt.Errorf("connection log: %w", err)
		}
		t.Context.Clients = seen.Refused
		listeners, err := readListeners(c.DataDir)
		if err != nil {
			return nil, err
		}
		t.Dial = func(w *posture.Wire) (string, func(context.Context) (net.Conn, error)) {
			typ := "REGIONAL"
			if w.Edge {
				typ = "EDGE"
			}
			return dialer(listeners[typ])
		}
	}
	return t, nil
}

func readListeners(dir string) (map[string]string, error) {
	path := filepath.Join(dir, "runtime.json")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no gateway runs on %s any more", dir)
	}
	var r gateway.Runtime
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r.Listeners, nil
}

// dialer connects to one address; "" is nowhere.
func dialer(address string) (string, func(context.Context) (net.Conn, error)) {
	if address == "" {
		return "", nil
	}
	var d net.Dialer
	return address, func(ctx context.Context) (net.Conn, error) { return d.DialContext(ctx, "tcp", address) }
}

// stageBackends asks the doctor of a gateway about every backend of a stage. A stage
// that is not being served has none.
func stageBackends(ctx context.Context, g *running, api, stage string) (all []doctor.Backend, err error) {
	query := url.Values{"limit": {strconv.Itoa(24)}}
	for {
		var page doctor.Stage
		err := g.get(ctx, doctor.BackendsPath(api, stage), query, &page)
		var refused *refusedCall
		if errors.As(err, &refused) && refused.status == http.StatusNotFound {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		all = append(all, page.Backends...)
		if page.Position == "" || len(all) >= page.Total {
			return all, nil
		}
		query.Set("position", page.Position)
	}
}

// backends says of each backend why requests do not get through to it, "" when
// they do.
func backends(ctx context.Context, g *running, api, stage string) (map[string]string, error) {
	all, err := stageBackends(ctx, g, api, stage)
	if err != nil {
		return nil, err
	}
	out := make(map[string]string, len(all))
	for _, b := range all {
		shown := b.Attached
		if shown == nil {
			shown = b.Without
		}
		why := ""
		switch {
		case b.Verdict == doctor.Open || b.Verdict == doctor.Ready:
		case shown == nil || !shown.LetThrough():
			why = cmp.Or(b.Why, string(b.Verdict))
		}
		out[b.URL] = why
	}
	return out, nil
}

// readiness says what a first client certificate would meet.
func readiness(ctx context.Context, g *running, api, stage string) (lines []string) {
	all, err := stageBackends(ctx, g, api, stage)
	if err != nil {
		return []string{"what the backends would make of it could not be asked: " + err.Error()}
	}
	for _, b := range all {
		switch {
		case strings.HasPrefix(b.URL, "http:"):
			lines = append(lines, b.URL+" speaks plain HTTP: no certificate is shown to it")
		case b.Diagnosis != nil && b.Diagnosis.ClientCertificate.Asked:
			lines = append(lines, b.URL+" asks for a client certificate: until it trusts the new one it may refuse requests")
		case b.Without == nil:
			lines = append(lines, b.URL+" could not be asked: "+b.Why)
		}
	}
	return lines
}

// forms are the forms of steps to print for a finding.
func (o *fixOrder) forms(f *posture.Finding) []string {
	for _, known := range fixForms {
		if known.name == o.form {
			return known.forms
		}
	}
	if f.Resource.Source == posture.File {
		return fixForms[len(fixForms)-1].forms
	}
	return fixForms[0].forms
}

// print writes the plan and changes nothing.
func (o *fixOrder) print(cmd *cobra.Command, plan *remedy.Plan) error {
	out := cmd.OutOrStdout()
	if o.audit.output == "json" {
		if err := writeJSON(out, plan); err != nil {
			return err
		}
	} else if err := o.printText(out, plan); err != nil {
		return err
	}
	return left(len(plan.Items)+len(plan.Unfixable), "sallyport audit fix --apply carries the commands out")
}

// left ends a run after which some findings are open.
func left(n int, hint string) error {
	switch n {
	case 0:
		return nil
	case 1:
		return hinted{errors.New("1 finding is open"), hint}
	}
	return hinted{fmt.Errorf("%d findings are open", n), hint}
}

func (o *fixOrder) printText(out io.Writer, plan *remedy.Plan) error {
	w := bufio.NewWriter(out)
	for i, item := range plan.Items {
		f := item.Finding
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "# %d. %s on %s (%s)\n#    %s\n", item.Order, f.Control, f.Resource.ID, f.Severity, oneLine(f.Reason))
		forms := o.forms(f)
		for _, s := range f.Remediation {
			if !slices.Contains(forms, s.Form) {
				continue
			}
			if s.Form == posture.ByHand {
				fmt.Fprintf(w, "#    By hand: %s\n", oneLine(s.Text))
			}
			if s.Why != "" {
				fmt.Fprintf(w, "#    %s\n", oneLine(s.Why))
			}
			for _, b := range s.Breaks {
				fmt.Fprintf(w, "#    breaks: %s\n", oneLine(b))
			}
			if s.Form != posture.ByHand {
				fmt.Fprintln(w, strings.TrimRight(s.Text, "\n"))
			}
		}
	}
	if len(plan.Unfixable) > 0 {
		fmt.Fprintf(w, "\n# No change closes these; accept them with a reason (sallyport audit --write-baseline):\n")
		for _, f := range plan.Unfixable {
			fmt.Fprintf(w, "#    %s on %s: %s\n", f.Control, f.Resource.ID, oneLine(f.Reason))
		}
	}
	return w.Flush()
}

// oneLine keeps what is written behind a # there.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// carryOut applies a plan, one finding at a time.
func (o *fixOrder) carryOut(cmd *cobra.Command, plan *remedy.Plan) error {
	todo := 0
	for _, item := range plan.Items {
		if item.Finding.Resource.Source != posture.File {
			todo++
		}
	}
	if todo > 0 && !o.yes {
		if err := o.confirm(cmd, plan, todo); err != nil {
			return err
		}
	}
	out, text := cmd.OutOrStdout(), o.audit.output == "text"
	proofs := []*remedy.Proof{}
	open := len(plan.Unfixable)
	failed := ""
	for _, item := range plan.Items {
		f := item.Finding
		var p *remedy.Proof
		switch {
		case failed != "" && !o.keepGoing:
			open++
			continue
		case f.Resource.Source == posture.File:
			p = &remedy.Proof{Control: f.Control, Resource: f.Resource, Outcome: remedy.Waiting, Reason: "files are never edited: merge the snippet that sallyport audit fix prints"}
		default:
			t, err := o.target(cmd, f.Resource.Source)
			if err != nil {
				return err
			}
			p = t.Apply(cmd.Context(), f)
		}
		proofs = append(proofs, p)
		if text {
			printProof(out, p)
		}
		if !p.Outcome.Good() {
			open++
		}
		if p.Outcome.Failed() {
			failed = p.Control + " on " + p.Resource.ID
		}
		if err := cmd.Context().Err(); err != nil {
			failed = cmp.Or(failed, "the interruption")
			o.keepGoing = false
		}
	}
	if !text {
		if err := writeJSON(out, map[string]any{"proofs": proofs, "unfixable": plan.Unfixable}); err != nil {
			return err
		}
	}
	if failed != "" {
		return hinted{fmt.Errorf("%s failed; %d findings are open", failed, open), "--keep-going goes on after a failure"}
	}
	return left(open, "sallyport audit fix prints what is left to do")
}

// confirm asks, on a terminal.
func (o *fixOrder) confirm(cmd *cobra.Command, plan *remedy.Plan, todo int) error {
	if !isTerminal(cmd.ErrOrStderr()) {
		return hinted{usageError{errors.New("--apply asks before it changes anything, and there is no terminal")}, "--yes applies without asking"}
	}
	if err := o.printText(cmd.ErrOrStderr(), plan); err != nil {
		return err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "\nCarry this out, %d findings, one at a time? [y/N] ", todo)
	answer, _ := bufio.NewReader(io.LimitReader(cmd.InOrStdin(), 80)).ReadString('\n')
	if answer = strings.ToLower(strings.TrimSpace(answer)); answer != "y" && answer != "yes" {
		return errors.New("nothing was changed")
	}
	return nil
}

func printProof(out io.Writer, p *remedy.Proof) {
	fmt.Fprintf(out, "%s %s on %s\n  %s\n", p.Outcome, p.Control, p.Resource.ID, oneLine(p.Reason))
	for _, c := range p.Done {
		fmt.Fprintf(out, "  done:   %s\n", c)
	}
	if p.After != nil {
		for _, e := range p.After.Evidence {
			switch e.Kind {
			case posture.Configuration:
				fmt.Fprintf(out, "  proof:  %s is %s\n", e.Member, cmp.Or(e.Value, "absent"))
			default:
				fmt.Fprintf(out, "  proof:  %s %s: %s\n", e.Kind, e.Target, e.Value)
			}
		}
	}
	for _, c := range p.Undone {
		fmt.Fprintf(out, "  undone: %s\n", c)
	}
}
