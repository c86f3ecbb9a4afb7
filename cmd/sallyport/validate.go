package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/gateway"
)

func validateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "validate FILE",
		Short: "Check a configuration file, and the files it names, without starting anything",
		Long: "Check a configuration file as serve would read it, with the environment (SALLYPORT_*)\n" +
			"applied: keys, values, and the trust bundles and keys that it names. Nothing is written.\n" +
			"Exit code 1 when serve would refuse it.",
		Example: "  sallyport validate sallyport.yaml",
		Args:    exactly("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := config.Load(config.Sources{File: args[0], Getenv: os.LookupEnv})
			if err == nil {
				err = gateway.Check(c)
			}
			if err != nil {
				return hinted{err, "docs/reference/settings.md lists the keys"}
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: ok\n", args[0])
			return nil
		},
	}
}
