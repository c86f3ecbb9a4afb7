package telemetry

import (
	"log/slog"
	"os"
)

// NewLogger returns the process log on f: text on a terminal, JSON lines
// elsewhere, level info and above.
func NewLogger(f *os.File) *slog.Logger {
	if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		return slog.New(slog.NewTextHandler(f, nil))
	}
	return slog.New(slog.NewJSONHandler(f, nil))
}
