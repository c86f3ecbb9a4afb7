package telemetry

import (
	"log/slog"
	"os"
)

// NewLogger returns the process log on f: text on a terminal, JSON lines
// elsewhere, at level and above; nil is info.
func NewLogger(f *os.File, level slog.Leveler) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		return slog.New(slog.NewTextHandler(f, options))
	}
	return slog.New(slog.NewJSONHandler(f, options))
}
