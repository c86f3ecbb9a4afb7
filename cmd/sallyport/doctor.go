package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/internal/backgate"
	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/doctor"
	"github.com/sallyport/sallyport/internal/gateway"
)

// doctorOrder is what a command line of doctor asks for.
type doctorOrder struct {
	question doctor.Question
	stage    string // API/STAGE: every backend's TLS
	ready    string // API/STAGE: every backend and the client certificate
	strict   bool
	silent   bool
	local    bool
	file     string
	output   string
}

func doctorCommand() *cobra.Command {
	var o doctorOrder
	cmd := &cobra.Command{
		Use:   "doctor URL | --stage API/STAGE | --client-certificates API/STAGE",
		Short: "Say why the second gate refuses a backend, which certificate is at fault and what to do",
		Long: "Connect to a backend as the second gate does and say what comes of it: the certificates as they\n" +
			"were presented, the verdict, the element at fault, the way out, AWS's own words for it and an\n" +
			"openssl command that shows the same. Nothing is requested of the backend.\n\n" +
			"A gateway that runs on the data folder is asked, so that the trust and the targets in force judge;\n" +
			"without one, with --local, --trust-bundle or --allow-backend, this process judges by its own.\n\n" +
			"--stage tries every backend of a deployed stage. --client-certificates also says of each whether it\n" +
			"asks for a client certificate, takes the stage's own and, during a rotation, the one before, and\n" +
			"whether it lets in a caller who shows none: who then need not come through the gateway. A backend\n" +
			"that lets a handshake through is also asked OPTIONS /, which changes nothing (not with --no-request).\n\n" +
			"Exit code 0 when the backend (every backend) would be asked, 1 when it would be refused or refuses\n" +
			"the client certificate; a door that stands open is a warning, and 1 only with --strict.",
		Example: "  sallyport doctor https://backend.example.com:8443\n" +
			"  sallyport doctor https://10.0.0.7:8443 --server-name backend.example.com\n" +
			"  sallyport doctor https://backend.example.com --local --trust-bundle roots.pem -o json\n" +
			"  sallyport doctor --stage a1b2c3d4e5/prod\n" +
			"  sallyport doctor --client-certificates a1b2c3d4e5/prod --strict",
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&o.question.ServerName, "server-name", "", "`NAME` to ask for (SNI) and to verify (default the URL's host)")
	f.StringVar(&o.question.ClientCertificateID, "client-certificate", "", "`ID` or ARN of the client certificate to show; needs a running gateway")
	f.BoolVar(&o.question.InsecureSkipVerification, "insecure-skip-verification", false, "judge as for an integration with insecureSkipVerification")
	f.StringVar(&o.question.Target, "target", "", "`ARN` of the load balancer or listener to connect to in place of the URL's host")
	f.StringVar(&o.stage, "stage", "", "try every backend of `API/STAGE`")
	f.StringVar(&o.ready, "client-certificates", "", "try every backend of `API/STAGE` with and without its client certificates")
	f.BoolVar(&o.strict, "strict", false, "with --client-certificates: exit code 1 also for doors that stand open")
	f.BoolVar(&o.silent, "no-request", false, "with --client-certificates: shake hands only; servers such as nginx then look open")
	f.BoolVar(&o.local, "local", false, "judge in this process, even if a gateway runs")
	f.StringVar(&o.file, "config", "", "configuration `FILE` (YAML) of the gateway")
	f.String("data-dir", config.KeyNamed("data-dir").Default[0], "`DIR` is the gateway's data folder")
	f.String("admin", "", "`ADDR` of the gateway's control plane (default: as the data folder says)")
	addFlag(f, config.KeyNamed("trust-bundle"))
	addFlag(f, config.KeyNamed("allow-backend"))
	outputFlag(cmd, &o.output)
	cmd.ValidArgsFunction = cobra.NoFileCompletions
	for _, name := range []string{"server-name", "client-certificate", "target", "stage", "client-certificates"} {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions)
	}
	cmd.Args = func(cmd *cobra.Command, args []string) error { return o.check(cmd, args) }
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return o.run(cmd) }
	return cmd
}

// check refuses command lines that ask for nothing, or for several things.
func (o *doctorOrder) check(cmd *cobra.Command, args []string) error {
	usage := func(hint, format string, a ...any) error {
		return hinted{usageError{fmt.Errorf(format, a...)}, hint}
	}
	f := cmd.Flags()
	asked := len(args)
	for _, name := range []string{"stage", "client-certificates"} {
		if f.Changed(name) {
			asked++
		}
	}
	if asked != 1 {
		return usage("usage: "+cmd.UseLine(), "doctor takes one URL, --stage or --client-certificates")
	}
	if o.output != "table" && o.output != "json" {
		return unknownOutput(o.output)
	}
	for _, name := range []string{"strict", "no-request"} {
		if f.Changed(name) && !f.Changed("client-certificates") {
			return usage("doors are tried with --client-certificates API/STAGE", "--%s without --client-certificates", name)
		}
	}
	local := o.judgesAlone(cmd)
	if len(args) == 1 {
		o.question.URL = args[0]
		if _, err := o.question.Inspection(); err != nil {
			var refused *backgate.URLError
			if errors.As(err, &refused) {
				return usage(refused.Hint, "%s", refused.Reason)
			}
			return err
		}
		if o.question.ClientCertificateID != "" && local {
			return usage("leave out --local, --trust-bundle and --allow-backend, and start the gateway", "--client-certificate needs the running gateway: its private keys never leave it")
		}
		return nil
	}
	for _, name := range []string{"server-name", "client-certificate", "insecure-skip-verification", "target"} {
		if f.Changed(name) {
			return usage("a stage's integrations say themselves how their backends are reached", "--%s goes with a URL only", name)
		}
	}
	if local {
		return usage("leave out --local, --trust-bundle and --allow-backend, and start the gateway", "only a running gateway knows the backends of a stage")
	}
	if _, _, err := splitStage(o.stage + o.ready); err != nil {
		return usage("such as a1b2c3d4e5/prod; aws apigateway get-rest-apis lists the APIs", "%v", err)
	}
	return nil
}

// judgesAlone reports whether the command line wants this process's own trust:
// flags of trust would mean nothing to a gateway that runs.
func (o *doctorOrder) judgesAlone(cmd *cobra.Command) bool {
	return o.local || cmd.Flags().Changed("trust-bundle") || cmd.Flags().Changed("allow-backend")
}

// stagePattern is API/STAGE. Source: the names that CreateStage takes.
var stagePattern = regexp.MustCompile(`^[A-Za-z0-9]{1,64}/[A-Za-z0-9_-]{1,128}$`)

func splitStage(s string) (api, stage string, err error) {
	if !stagePattern.MatchString(s) {
		return "", "", fmt.Errorf("%q is not API/STAGE", s)
	}
	api, stage, _ = strings.Cut(s, "/")
	return api, stage, nil
}

func (o *doctorOrder) run(cmd *cobra.Command) error {
	c, err := config.Load(config.Sources{File: o.file, Flags: givenFlags(cmd.Flags()), Getenv: os.LookupEnv})
	if err != nil {
		return settingsError(err)
	}
	var g *running
	if !o.judgesAlone(cmd) {
		admin := ""
		if cmd.Flags().Changed("admin") {
			admin = c.Admin
		}
		if g, err = findRunning(c.DataDir, admin, c.Region); err != nil {
			return err
		}
	}
	noGateway := func(what string) error {
		return hinted{fmt.Errorf("%s, and none runs on %s", what, c.DataDir), "start it with sallyport serve, or name its folder with --data-dir"}
	}
	switch {
	case o.question.URL == "" && g == nil:
		return noGateway("only a running gateway knows the backends of a stage")
	case o.question.URL == "":
		return o.examineStage(cmd, g)
	case o.question.ClientCertificateID != "" && g == nil:
		return noGateway("--client-certificate needs the running gateway, whose private keys never leave it")
	}
	return o.examine(cmd, g, c)
}

// examine judges one backend.
func (o *doctorOrder) examine(cmd *cobra.Command, g *running, c config.Config) error {
	d, judge, err := new(backgate.Diagnosis), "", error(nil)
	if g == nil {
		judge = localJudge(c)
		d, err = o.examineAlone(cmd.Context(), c)
	} else {
		judge = "the gateway at " + g.admin
		err = g.get(cmd.Context(), doctor.Path, o.question.Query(), d)
	}
	if err != nil {
		return doctorError(err)
	}
	out := cmd.OutOrStdout()
	if o.output == "json" {
		err = writeJSON(out, d)
	} else {
		err = printDiagnosis(out, d, judge)
	}
	if err == nil && !d.Accepted {
		err = fmt.Errorf("%s would be refused: %s", o.question.URL, d.Verdict) // what to do is in the diagnosis
	}
	return err
}

// examineAlone judges by this process's own trust.
func (o *doctorOrder) examineAlone(ctx context.Context, c config.Config) (*backgate.Diagnosis, error) {
	inspection, err := o.question.Inspection()
	if err != nil {
		return nil, err
	}
	gate, err := gateway.BackGate(c)
	if err != nil {
		return nil, hinted{err, "docs/reference/settings.md lists the settings"}
	}
	defer gate.Close()
	inspection.TrustFiles = c.TrustBundles
	return gate.Diagnose(ctx, inspection), nil
}

func localJudge(c config.Config) string {
	trust := "the system's roots"
	if n := len(c.TrustBundles); n > 0 {
		trust += " and " + strings.Join(c.TrustBundles, ", ")
	}
	return "this process, by " + trust
}

// doctorError adds the way out of what the gateway or a trust bundle refused.
func doctorError(err error) error {
	var refused *refusedCall
	switch {
	case !errors.As(err, &refused):
		return err
	case refused.status == 429:
		return hinted{err, "others are being examined; try again in a moment"}
	case refused.status == 404 && strings.Contains(refused.message, "client certificate"):
		return hinted{err, "aws apigateway get-client-certificates lists the generated ones, aws acm list-certificates those of ACM"}
	case refused.status == 404:
		return hinted{err, "aws apigateway get-rest-apis lists the APIs, get-stages --rest-api-id API an API's stages; one that does not compile is named in the gateway's log"}
	case refused.status == 403:
		return hinted{err, "the access key is not one of this gateway's; DIR/credentials holds them"}
	}
	return err
}

// pageSize is how many backends are examined by one call: few, so that there is
// progress to show.
const pageSize = 8

// examineStage judges all backends of a stage.
func (o *doctorOrder) examineStage(cmd *cobra.Command, g *running) error {
	api, stage, _ := splitStage(o.stage + o.ready) // checked
	all := doctor.Stage{}
	progress := newProgress(cmd.ErrOrStderr())
	defer progress.clear()
	for {
		var page doctor.Stage
		query := url.Values{"limit": {strconv.Itoa(pageSize)}, "request": {strconv.FormatBool(o.ready != "" && !o.silent)}}
		if all.Position != "" {
			query.Set("position", all.Position)
		}
		if err := g.get(cmd.Context(), doctor.BackendsPath(api, stage), query, &page); err != nil {
			return doctorError(err)
		}
		page.Backends = append(all.Backends, page.Backends...)
		all = page
		if all.Position == "" {
			break
		}
		progress.show("%d of %d backends", len(all.Backends), all.Total)
	}
	progress.clear()
	out := cmd.OutOrStdout()
	var err error
	switch {
	case o.output == "json":
		err = writeJSON(out, all)
	case o.ready != "":
		err = printReadiness(out, &all, "the gateway at "+g.admin)
	default:
		err = printStage(out, &all, "the gateway at "+g.admin)
	}
	if err != nil {
		return err
	}
	return o.judgeStage(&all)
}

// judgeStage is the exit: what keeps requests from getting through, then, by
// --strict, what lets others in.
func (o *doctorOrder) judgeStage(s *doctor.Stage) error {
	refused, closed, open := 0, 0, 0
	for i := range s.Backends {
		switch b := &s.Backends[i]; b.Verdict {
		case doctor.Unverified:
			refused++
		case doctor.Refuses:
			closed++
		case doctor.Behind:
			if o.ready != "" { // else requests get through
				closed++
			}
		case doctor.Open:
			open++
		}
	}
	name := s.API + "/" + s.Name
	switch {
	case refused > 0:
		return hinted{fmt.Errorf("%s of %s would be refused by the second gate", count(refused, "backend"), name),
			"sallyport doctor URL says of each what to do"}
	case closed > 0 && o.ready != "":
		return hinted{fmt.Errorf("%s of %s would not take the client certificate", count(closed, "backend"), name),
			"add the certificate to what these backends trust, before the one they know goes"}
	case closed > 0:
		return hinted{fmt.Errorf("%s of %s would refuse the gateway's client certificate", count(closed, "backend"), name),
			"sallyport doctor --client-certificates " + name}
	case open > 0 && o.strict:
		return hinted{fmt.Errorf("%s of %s let callers in that do not come through the gateway", count(open, "backend"), name),
			"have them demand the stage's client certificate"}
	}
	return nil
}

// progress is a line on a terminal that is written over; elsewhere nothing.
type progress struct {
	out   io.Writer // nil: no terminal
	shown bool
}

func newProgress(out io.Writer) *progress {
	if f, ok := out.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			return &progress{out: out}
		}
	}
	return &progress{}
}

func (p *progress) show(format string, a ...any) {
	if p.out != nil {
		fmt.Fprintf(p.out, "\r\x1b[K"+format, a...)
		p.shown = true
	}
}

func (p *progress) clear() {
	if p.shown {
		fmt.Fprint(p.out, "\r\x1b[K")
		p.shown = false
	}
}
