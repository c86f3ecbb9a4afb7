package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/gateway"
	"github.com/sallyport/sallyport/internal/quickstart"
	"github.com/sallyport/sallyport/internal/telemetry"
)

func serveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Start the gateway",
		Long: "Start the gateway: the control plane (Amazon API Gateway's API) on one port and the first\n" +
			"gate's listeners. Every flag is also a key of the configuration file and an environment\n" +
			"variable (SALLYPORT_DATA_DIR for --data-dir); a flag wins over the environment, that over\n" +
			"the file. TERM drains and stops; HUP reloads the file.",
		Example: "  sallyport serve --quickstart\n  sallyport serve --config sallyport.yaml --listen REGIONAL=0.0.0.0:443",
		Args:    exactly(),
	}
	var file string
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(&file, "config", "", "configuration `FILE` (YAML)")
	for i := range config.Keys {
		addFlag(cmd.Flags(), &config.Keys[i])
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		sources := config.Sources{File: file, Flags: givenFlags(cmd.Flags()), Getenv: os.LookupEnv}
		return serve(cmd.Context(), cmd, sources)
	}
	return cmd
}

func addFlag(flags *pflag.FlagSet, k *config.Key) {
	help := k.Help
	if k.Value != "" {
		help = strings.TrimSpace("`" + k.Value + "` " + help)
	}
	switch {
	case k.Bool:
		flags.Bool(k.Name, false, k.Help)
	case k.List:
		flags.StringArray(k.Name, nil, listHelp(k))
	default:
		value := ""
		if len(k.Default) > 0 {
			value = k.Default[0]
		}
		flags.String(k.Name, value, help)
	}
}

func listHelp(k *config.Key) string {
	help := "`" + k.Value + "` " + k.Help + "; may be repeated"
	if len(k.Default) > 0 {
		help += " (default " + strings.Join(k.Default, ", ") + ")"
	}
	return help
}

// givenFlags returns the settings that the command line names, so that the
// defaults of the others do not hide the environment and the file.
func givenFlags(flags *pflag.FlagSet) map[string][]string {
	given := map[string][]string{}
	flags.Visit(func(f *pflag.Flag) {
		k := config.KeyNamed(f.Name)
		switch {
		case k == nil:
		case k.List:
			given[f.Name], _ = flags.GetStringArray(f.Name)
		default:
			given[f.Name] = []string{f.Value.String()}
		}
	})
	return given
}

// serve runs until TERM or INT; HUP reloads the file.
func serve(ctx context.Context, cmd *cobra.Command, sources config.Sources) (err error) {
	c, err := config.Load(sources)
	if err != nil {
		return hinted{usageError{err}, "docs/reference/settings.md lists the settings"}
	}
	log := telemetry.NewLogger(os.Stderr)
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()

	var farm *quickstart.Farm
	if c.Quickstart {
		if farm, err = quickstart.StartFarm(c.DataDir); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, farm.Close()) }()
		c = farm.Extend(c)
	}
	options := gateway.Options{Config: c, Log: log}
	if farm == nil {
		options.Ready = func(r gateway.Runtime) {
			fmt.Fprintf(cmd.OutOrStdout(), "ready: control plane %s, addresses and files in %s\n", r.Admin, filepath.Join(c.DataDir, "runtime.json"))
		}
	}
	g, err := gateway.Open(ctx, options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.Close()) }()

	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	go reloadOn(ctx, hup, sources, g, farm, log)

	if farm != nil {
		done := make(chan error, 1)
		go func() { done <- g.Run(ctx) }()
		guide, err := farm.Install(ctx, g.Runtime(), c)
		if err != nil {
			stop()
			return errors.Join(fmt.Errorf("quickstart: %w", err), <-done)
		}
		fmt.Fprint(cmd.OutOrStdout(), guide)
		return <-done
	}
	return g.Run(ctx)
}

// reloadOn applies the file anew at each signal. What is wrong is logged and
// changes nothing.
func reloadOn(ctx context.Context, hup <-chan os.Signal, sources config.Sources, g *gateway.Gateway, farm *quickstart.Farm, log *slog.Logger) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hup:
			c, err := config.Load(sources)
			if err == nil {
				if farm != nil {
					c = farm.Extend(c)
				}
				err = g.Reload(c)
			}
			if err != nil {
				log.Error("reload refused; what ran keeps running", "err", err)
			}
		}
	}
}
