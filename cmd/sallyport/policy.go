package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/tlspolicy"
)

func policyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Show and compare the TLS security policies",
		Args:  func(_ *cobra.Command, args []string) error { return unknownCommand(args) },
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(policyList(), policyShow(), policyDiff())
	return cmd
}

// policyView is a policy as JSON and text show it.
type policyView struct {
	Name               string              `json:"name"`
	Endpoint           string              `json:"endpoint"` // "regional and private" or "edge"
	Versions           []string            `json:"versions"`
	Suites             map[string][]string `json:"suites"` // by version, in order of preference, as enforced
	NotOffered         []string            `json:"notOffered,omitempty"`
	Groups             []string            `json:"groups"`
	PostQuantum        bool                `json:"postQuantum"`
	FIPS               bool                `json:"fips"`
	ForwardSecrecyOnly bool                `json:"forwardSecrecyOnly"`
	NeedsAccessMode    bool                `json:"needsAccessMode"`
	Summary            string              `json:"summary"`
	Notes              []string            `json:"notes,omitempty"`
}

func viewOf(p *tlspolicy.Policy) policyView {
	v := policyView{Name: p.Name, Endpoint: endpointOf(p), Suites: map[string][]string{}, PostQuantum: p.PostQuantum, FIPS: p.FIPS,
		ForwardSecrecyOnly: p.ForwardSecrecyOnly, NeedsAccessMode: p.Enhanced(), Summary: p.Summary, Notes: p.Notes}
	for version := p.Max; version >= p.Min; version-- {
		name := tlspolicy.VersionName(version)
		v.Versions = append(v.Versions, name)
		for _, id := range p.Offered(version) {
			v.Suites[name] = append(v.Suites[name], tlspolicy.SuiteName(id))
		}
	}
	for _, id := range p.Suites12 {
		if slices.Contains(tlspolicy.Missing(), id) {
			v.NotOffered = append(v.NotOffered, tlspolicy.SuiteName(id))
		}
	}
	for _, g := range p.Groups {
		v.Groups = append(v.Groups, tlspolicy.GroupName(g))
	}
	return v
}

func endpointOf(p *tlspolicy.Policy) string {
	if p.Edge {
		return "edge"
	}
	return "regional and private"
}

func policyList() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the policies",
		Args:  exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var views []policyView
			for _, p := range tlspolicy.All() {
				views = append(views, viewOf(p))
			}
			switch output {
			case "json":
				return writeJSON(cmd.OutOrStdout(), views)
			case "table":
				w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "NAME\tENDPOINT\tVERSIONS\tSUITES\tPQ\tFIPS\tPFS ONLY\tACCESS MODE")
				for _, v := range views {
					suites := 0
					for _, p := range tlspolicy.All() {
						if p.Name == v.Name && endpointOf(p) == v.Endpoint {
							suites = len(p.Suites13) + len(p.Suites12) - len(v.NotOffered)
						}
					}
					fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\n", v.Name, v.Endpoint, versionRange(v.Versions), suites,
						yes(v.PostQuantum), yes(v.FIPS), yes(v.ForwardSecrecyOnly), map[bool]string{true: "required", false: "none"}[v.NeedsAccessMode])
				}
				return w.Flush()
			}
			return unknownOutput(output)
		},
	}
	outputFlag(cmd, &output)
	return cmd
}

func policyShow() *cobra.Command {
	var output string
	var edge bool
	cmd := &cobra.Command{
		Use:               "show NAME",
		Short:             "Show what a policy accepts: versions, suites in order of preference, groups",
		Args:              exactly("NAME"),
		ValidArgsFunction: completePolicies,
		RunE: func(cmd *cobra.Command, args []string) error {
			rows, err := policyRows(args[0], edge)
			if err != nil {
				return err
			}
			var views []policyView
			for _, p := range rows {
				views = append(views, viewOf(p))
			}
			switch output {
			case "json":
				return writeJSON(cmd.OutOrStdout(), views)
			case "table":
				for i, v := range views {
					if i > 0 {
						fmt.Fprintln(cmd.OutOrStdout())
					}
					showPolicy(cmd.OutOrStdout(), v)
				}
				return nil
			}
			return unknownOutput(output)
		},
	}
	outputFlag(cmd, &output)
	edgeFlag(cmd, &edge)
	return cmd
}

func showPolicy(w io.Writer, v policyView) {
	fmt.Fprintf(w, "%s (%s)\n  %s\n", v.Name, v.Endpoint, v.Summary)
	for _, version := range v.Versions {
		fmt.Fprintf(w, "  %s\n", version)
		for _, s := range v.Suites[version] {
			fmt.Fprintf(w, "    %s\n", s)
		}
	}
	fmt.Fprintf(w, "  groups: %s\n", strings.Join(v.Groups, ", "))
	if len(v.NotOffered) > 0 {
		fmt.Fprintf(w, "  in AWS's list, not offered here: %s\n", strings.Join(v.NotOffered, ", "))
	}
	for _, n := range v.Notes {
		fmt.Fprintf(w, "  note: %s\n", n)
	}
}

func policyDiff() *cobra.Command {
	var output string
	var edge bool
	cmd := &cobra.Command{
		Use:               "diff A B",
		Short:             "Show what a client loses and gains when policy A is replaced by B",
		Args:              exactly("A", "B"),
		ValidArgsFunction: completePolicies,
		RunE: func(cmd *cobra.Command, args []string) error {
			var pair [2]*tlspolicy.Policy
			for i, name := range args {
				rows, err := policyRows(name, edge)
				if err != nil {
					return err
				}
				pair[i] = rows[0]
			}
			d := viewOfDifference(tlspolicy.Diff(pair[0], pair[1]))
			switch output {
			case "json":
				return writeJSON(cmd.OutOrStdout(), d)
			case "table":
				d.print(cmd.OutOrStdout())
				return nil
			}
			return unknownOutput(output)
		},
	}
	outputFlag(cmd, &output)
	edgeFlag(cmd, &edge)
	return cmd
}

// policyChange is what moving from one policy to another takes and gives.
type policyChange struct {
	From    string   `json:"from"`
	To      string   `json:"to"`
	Removed []string `json:"removed"` // "TLSv1.2 TLS_RSA_WITH_AES_128_GCM_SHA256", "group X25519"
	Added   []string `json:"added"`
	// Reordered: something that both accept has another place in the order of preference.
	Reordered bool `json:"reordered"`
}

func viewOfDifference(d tlspolicy.Difference) policyChange {
	out := policyChange{From: d.From, To: d.To, Removed: []string{}, Added: []string{}, Reordered: d.Reordered}
	for _, c := range d.Changes {
		text := c.Name()
		switch c.Part {
		case tlspolicy.Suite:
			text = tlspolicy.VersionName(c.Version) + " " + text
		case tlspolicy.Group:
			text = "group " + text
		}
		if c.Gained {
			out.Added = append(out.Added, text)
		} else {
			out.Removed = append(out.Removed, text)
		}
	}
	return out
}

func (d policyChange) print(w io.Writer) {
	if len(d.Removed)+len(d.Added) == 0 {
		fmt.Fprintf(w, "%s and %s accept the same", d.From, d.To)
		if d.Reordered {
			fmt.Fprint(w, ", in another order of preference")
		}
		fmt.Fprintln(w)
		return
	}
	for _, s := range d.Removed {
		fmt.Fprintf(w, "- %s\n", s)
	}
	for _, s := range d.Added {
		fmt.Fprintf(w, "+ %s\n", s)
	}
}

// policyRows returns the rows of a name: two for a name that means something
// else on edge endpoints, only the edge one when edge is set.
func policyRows(name string, edge bool) ([]*tlspolicy.Policy, error) {
	var rows []*tlspolicy.Policy
	for _, p := range tlspolicy.All() {
		if p.Name == name && (!edge || p.Edge) {
			rows = append(rows, p)
		}
	}
	switch {
	case len(rows) > 0:
		return rows, nil
	case edge && slices.Contains(tlspolicy.Names(), name):
		return nil, hinted{fmt.Errorf("policy %q is not for edge endpoints", name), "leave out --edge"}
	}
	return nil, hinted{usageError{fmt.Errorf("unknown policy %q", name)}, "sallyport policy list names them"}
}

func completePolicies(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return tlspolicy.Names(), cobra.ShellCompDirectiveNoFileComp
}

func edgeFlag(cmd *cobra.Command, to *bool) {
	cmd.Flags().BoolVar(to, "edge", false, "the row for edge endpoints, where a name has two")
}

func versionRange(versions []string) string {
	if len(versions) == 1 {
		return versions[0]
	}
	return versions[len(versions)-1] + " to " + versions[0]
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "-"
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false) // a shell's "<" stays one
	return enc.Encode(v)
}
