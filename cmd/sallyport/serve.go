package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
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
			"the file. TERM drains and stops, a second one stops at once; HUP reloads the file.",
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
		return settingsError(err)
	}
	level := new(slog.LevelVar)
	log := telemetry.NewLogger(os.Stderr, level)
	if unknown := config.UnknownEnv(os.Environ()); len(unknown) > 0 {
		log.Warn("environment variables that are no setting are ignored", "variables", unknown)
	}
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP) // from here on: it would end a process that is still starting
	defer signal.Stop(hup)
	ctx, stop := stopOnSignal(ctx, log)
	defer stop()

	options := gateway.Options{Log: log}
	var farm *quickstart.Farm
	if c.Quickstart {
		if farm, err = quickstart.StartFarm(); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, farm.Close()) }()
		c, options.Roots = farm.Extend(c), farm.Roots()
		var guide string
		options.Prepare = func(ctx context.Context, r gateway.Runtime) (err error) {
			if guide, err = farm.Install(ctx, r, c); err != nil {
				err = fmt.Errorf("quickstart: %w", err)
			}
			return err
		}
		// The guide comes first: the calls that make the example would bury it.
		level.Set(slog.LevelWarn)
		options.Ready = func(gateway.Runtime) {
			fmt.Fprint(cmd.OutOrStdout(), guide)
			level.Set(slog.LevelInfo)
		}
	} else {
		options.Ready = func(r gateway.Runtime) {
			fmt.Fprintf(cmd.OutOrStdout(), "ready: control plane %s, addresses and files in %s\n", r.Admin, filepath.Join(c.DataDir, "runtime.json"))
		}
	}
	options.Config = c
	g, err := gateway.Open(ctx, options)
	if err != nil {
		return startError(err)
	}
	defer func() { err = errors.Join(err, g.Close()) }()
	go reloadOn(ctx, hup, sources, g, farm, log)
	return g.Run(ctx)
}

// stopOnSignal returns a context that the first TERM or INT ends. A second one
// ends the process at once, for those who do not want to wait for a drain:
// what is acknowledged is on the disk, as after a kill.
func stopOnSignal(ctx context.Context, log *slog.Logger) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	signals, done := make(chan os.Signal, 2), make(chan struct{})
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		for range 2 {
			select {
			case <-done:
				return
			case <-signals:
				if ctx.Err() != nil {
					log.Error("stopped at once by a second signal; requests under way are cut")
					os.Exit(exitFindings)
				}
				cancel()
			}
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		cancel()
		close(done)
	}
}

// settingsError gives a refusal by config.Load its hint and exit code.
func settingsError(err error) error {
	const hint = "docs/reference/settings.md lists the settings"
	if errors.As(err, &config.FlagError{}) {
		return hinted{usageError{err}, hint}
	}
	return hinted{err, hint}
}

// startHints are the ways out of what the system refuses at the start.
var startHints = []struct {
	err  error
	hint string
}{
	{syscall.EADDRINUSE, "stop what listens there, or name another address with --admin or --listen (port 0 picks a free one)"},
	{syscall.EADDRNOTAVAIL, "name an address of this machine with --admin or --listen"},
	{fs.ErrPermission, "ports below 1024 and foreign folders need rights; name others with --listen, --admin or --data-dir"},
	{syscall.EROFS, "name a folder that can be written with --data-dir"},
}

func startError(err error) error {
	for _, h := range startHints {
		if errors.Is(err, h.err) {
			return hinted{err, h.hint}
		}
	}
	return err
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
