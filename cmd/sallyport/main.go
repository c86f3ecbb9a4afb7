// Command sallyport is the gateway and its tools. It turns flags into options
// and prints results; rules live in the packages it wires.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/spf13/cobra"
)

// Exit codes. 0 is fine.
const (
	exitFindings = 1 // findings or a refusal
	exitUsage    = 2 // the command line is wrong
)

// usageError marks a mistake in the command line.
type usageError struct{ error }

// hinted is an error with a way out.
type hinted struct {
	error
	hint string
}

func (h hinted) Unwrap() error { return h.error }

func main() { os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr)) }

// run executes one command line and returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	// net/http prints there what a backend sends unasked, up to 4 KiB each time:
	// a stranger's bytes, as often as it likes. Our own log is not this one.
	log.SetOutput(io.Discard)
	root := rootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintf(stderr, "error: %v\n", err)
	if h := (hinted{}); errors.As(err, &h) {
		fmt.Fprintf(stderr, "hint: %s\n", h.hint)
	}
	if errors.As(err, &usageError{}) || errors.As(err, &errNothing{}) {
		return exitUsage
	}
	return exitFindings
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "sallyport",
		Short: "An API gateway with two governed gates, spoken to through Amazon API Gateway's API",
		Long: "Sallyport is an API gateway that you run yourself. Its control plane speaks Amazon API\n" +
			"Gateway's API; the TLS of its clients follows named security policies, exactly.\n\n" +
			"Start here:  sallyport serve --quickstart",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          func(_ *cobra.Command, args []string) error { return unknownCommand(args) },
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return hinted{usageError{err}, cmd.CommandPath() + " --help lists the flags"}
	})
	root.AddCommand(serveCommand(), validateCommand(), policyCommand(), probeCommand(), auditCommand(), doctorCommand(), versionCommand())
	return root
}

func unknownCommand(args []string) error {
	if len(args) == 0 {
		return nil
	}
	return hinted{usageError{fmt.Errorf("unknown command %q", args[0])}, "sallyport --help lists the commands"}
}

// exactly is cobra.ExactArgs with a usage error that names the arguments.
func exactly(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != len(names) {
			return hinted{usageError{fmt.Errorf("%s takes %d arguments, got %d", cmd.CommandPath(), len(names), len(args))},
				"usage: " + cmd.UseLine()}
		}
		return nil
	}
}
