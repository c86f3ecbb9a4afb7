package gatewaytest

import (
	"errors"
	"log/slog"
)

// asError is errors.As with the target's type inferred.
func asError[E error](err error, to *E) bool { return errors.As(err, to) }

// quiet is a process log that nobody reads.
func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }
