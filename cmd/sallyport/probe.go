package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/tlspolicy"
)

// probeTime bounds a whole probe.
const probeTime = 2 * time.Minute

// probeView is an observation as JSON and text show it.
type probeView struct {
	Target     string              `json:"target"`
	ServerName string              `json:"serverName"`
	At         time.Time           `json:"at"`
	Versions   []string            `json:"versions"`
	Suites     map[string][]string `json:"suites"` // by version, in the server's order
	Groups     []string            `json:"groups"`
	// Policies are those that nothing observed speaks against.
	Policies   []string        `json:"policies"`
	Expected   *probeExpected  `json:"expected,omitempty"`
	Unanswered int             `json:"unanswered"`
	Transcript []probeStepView `json:"transcript"`
}

type probeExpected struct {
	Policy         string   `json:"policy"`
	Contradictions []string `json:"contradictions"`
}

type probeStepView struct {
	Version string   `json:"version"`
	Suites  []string `json:"suites"`
	Groups  []string `json:"groups"`
	Answer  string   `json:"answer"`
}

func probeCommand() *cobra.Command {
	var output, serverName, connect, expect string
	var edge bool
	cmd := &cobra.Command{
		Use:   "probe HOST[:PORT]",
		Short: "Ask a server which TLS versions, suites and groups it accepts, and which policies that fits",
		Long: "Probe asks a TLS server, by one ClientHello after the other, which versions, cipher suites and\n" +
			"key-exchange groups it accepts. No handshake is completed and nothing else is sent. It then names\n" +
			"the security policies that nothing observed speaks against. A probe can refute that a policy is in\n" +
			"force, and support it; it cannot prove it.\n\n" +
			"Only the host that you name is asked, by some dozens of short connections, one at a time.",
		Example: "  sallyport probe api.example.com\n" +
			"  sallyport probe api.example.com --connect 127.0.0.1:8443\n" +
			"  sallyport probe api.example.com --expect SecurityPolicy_TLS13_1_3_2025_09   # exit code 1 when refuted",
		Args: exactly("HOST[:PORT]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			target, name, err := probeTarget(args[0])
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("server-name") {
				name = serverName
			}
			address := target
			if connect != "" {
				if _, _, err := net.SplitHostPort(connect); err != nil {
					return hinted{usageError{fmt.Errorf("--connect %q is not HOST:PORT", connect)}, "such as --connect 127.0.0.1:8443"}
				}
				address = connect
			}
			var policy *tlspolicy.Policy
			if expect != "" {
				rows, err := policyRows(expect, edge)
				if err != nil {
					return err
				}
				policy = rows[0]
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), probeTime)
			defer cancel()
			var dialer net.Dialer
			seen, err := tlspolicy.Probe(ctx, name, func(ctx context.Context) (net.Conn, error) {
				return dialer.DialContext(ctx, "tcp", address)
			})
			if err != nil {
				return probeFault(address, err)
			}
			view := viewOfProbe(target, seen, policy)
			switch output {
			case "json":
				err = writeJSON(cmd.OutOrStdout(), view)
			case "table":
				err = printProbe(cmd.OutOrStdout(), view, seen)
			default:
				return unknownOutput(output)
			}
			switch {
			case err != nil:
				return err
			case len(seen.Versions) == 0:
				return hinted{fmt.Errorf("%s refused every handshake", address), "a server may refuse an unknown name: try --server-name"}
			case view.Expected != nil && len(view.Expected.Contradictions) > 0:
				return fmt.Errorf("%s is not what %s serves: %s", policy.Name, target, strings.Join(view.Expected.Contradictions, "; "))
			}
			return nil
		},
	}
	outputFlag(cmd, &output)
	cmd.Flags().StringVar(&serverName, "server-name", "", `name to ask for (SNI); "" sends none (default the host, unless it is an address)`)
	cmd.Flags().StringVar(&connect, "connect", "", "HOST:PORT to connect to in place of the name's own")
	cmd.Flags().StringVar(&expect, "expect", "", "policy that is claimed to be in force; exit code 1 when it is refuted")
	edgeFlag(cmd, &edge)
	_ = cmd.RegisterFlagCompletionFunc("expect", completePolicies)
	return cmd
}

// probeTarget completes HOST[:PORT] and says which name it asks for.
func probeTarget(arg string) (target, name string, err error) {
	host, port, splitErr := net.SplitHostPort(arg)
	if splitErr != nil {
		host, port = strings.Trim(arg, "[]"), "443"
	}
	if host == "" || port == "" || strings.ContainsAny(arg, "/ @") {
		return "", "", hinted{usageError{fmt.Errorf("%q is not HOST or HOST:PORT", arg)}, "leave out https:// and the path"}
	}
	if _, err := netip.ParseAddr(host); err != nil {
		name = strings.TrimSuffix(host, ".")
	}
	return net.JoinHostPort(host, port), name, nil
}

func probeFault(address string, err error) error {
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case errors.As(err, &dns):
		return hinted{err, "--connect HOST:PORT takes another address for the same name"}
	case errors.As(err, &op) && op.Op == "dial":
		return hinted{err, "does anything listen there?"}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return hinted{fmt.Errorf("%s does not answer in time", address), "a firewall may drop the connection"}
	}
	return hinted{fmt.Errorf("%s does not answer as a TLS server: %w", address, err), "is it TLS that is spoken on this port?"}
}

func viewOfProbe(target string, o *tlspolicy.Observation, expected *tlspolicy.Policy) probeView {
	v := probeView{Target: target, ServerName: o.ServerName, At: o.At.UTC(), Versions: []string{}, Suites: map[string][]string{},
		Groups: groupNames(o.Groups), Policies: []string{}, Unanswered: o.Unanswered}
	for _, version := range o.Versions {
		name := tlspolicy.VersionName(version)
		v.Versions = append(v.Versions, name)
		v.Suites[name] = suiteNames(o.Suites[version])
	}
	for _, p := range o.Policies() {
		if !slices.Contains(v.Policies, p.Name) {
			v.Policies = append(v.Policies, p.Name)
		}
	}
	if expected != nil {
		v.Expected = &probeExpected{Policy: expected.Name, Contradictions: append([]string{}, o.Contradictions(expected)...)}
	}
	for _, s := range o.Steps {
		v.Transcript = append(v.Transcript, probeStepView{tlspolicy.VersionName(s.Version), suiteNames(s.Suites), groupNames(s.Groups), s.Answer})
	}
	return v
}

func suiteNames(ids []uint16) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = tlspolicy.SuiteName(id)
	}
	return out
}

func groupNames(groups []tls.CurveID) []string {
	out := make([]string, len(groups))
	for i, g := range groups {
		out[i] = tlspolicy.GroupName(g)
	}
	return out
}

func printProbe(to io.Writer, v probeView, o *tlspolicy.Observation) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	name := v.ServerName
	if name == "" {
		name = "none sent"
	}
	fmt.Fprintf(w, "target\t%s\n", v.Target)
	fmt.Fprintf(w, "server name\t%s\n", name)
	fmt.Fprintf(w, "versions\t%s\n", orNone(v.Versions))
	for _, version := range v.Versions {
		label := "suites " + version
		for _, suite := range v.Suites[version] {
			fmt.Fprintf(w, "%s\t%s\n", label, suite)
			label = ""
		}
	}
	fmt.Fprintf(w, "groups\t%s\n", orNone(v.Groups))
	label := "fits policy"
	for _, p := range o.Policies() {
		fmt.Fprintf(w, "%s\t%s (%s)\n", label, p.Name, endpointOf(p))
		label = ""
	}
	if len(v.Policies) == 0 {
		fmt.Fprintf(w, "%s\tnone\n", label)
	}
	if v.Expected != nil {
		label := "expected " + v.Expected.Policy
		for _, c := range v.Expected.Contradictions {
			fmt.Fprintf(w, "%s\tno: %s\n", label, c)
			label = ""
		}
		if len(v.Expected.Contradictions) == 0 {
			fmt.Fprintf(w, "%s\tnothing speaks against it\n", label)
		}
	}
	fmt.Fprintf(w, "questions\t%d, %d without an answer\n", len(v.Transcript), v.Unanswered)
	return w.Flush()
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}
