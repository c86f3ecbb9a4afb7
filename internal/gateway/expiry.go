package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/sallyport/sallyport/internal/snapshot"
)

// When the process log warns of a client certificate's end: from 30 days
// before, once a day.
const (
	expiryLead  = 30 * 24 * time.Hour
	expiryEvery = 24 * time.Hour
)

// expiries says when each client certificate that stages show expires, by id.
func expiries(shown []snapshot.ClientCertificate) map[string]time.Time {
	all := make(map[string]time.Time, len(shown))
	for _, c := range shown {
		all[c.ID] = c.Certificate.Leaf.NotAfter
	}
	return all
}

// warnOfExpiry logs a warning for each client certificate that has expired or
// is about to, and returns after how long to look again: a day, or sooner when
// one expires before.
func warnOfExpiry(log *slog.Logger, shown []snapshot.ClientCertificate, now time.Time) time.Duration {
	again := expiryEvery
	for _, c := range shown {
		end := c.Certificate.Leaf.NotAfter
		left := end.Sub(now)
		facts := []any{"certificate", c.ID, "expires", end.UTC(), "stages", some(c.Stages)}
		if len(c.Previous) > 0 {
			facts = append(facts, "previous_of", some(c.Previous))
		}
		switch {
		case left < 0:
			// Still shown, as AWS does: what a backend makes of it is the backend's.
			log.Warn("client certificate has expired; backends that check it refuse requests; attach a new one", facts...)
			continue
		case left <= expiryLead:
			log.Warn("client certificate expires soon; nothing renews it; generate and attach a new one", append(facts, "days", int(left/(24*time.Hour)))...)
		}
		again = min(again, left+time.Second)
	}
	return again
}

// some names at most 20 stages.
func some(stages []string) []string {
	const most = 20
	if len(stages) <= most {
		return stages
	}
	return append(slices.Clone(stages[:most]), fmt.Sprintf("and %d more", len(stages)-most))
}

// watchExpiry warns at once and then daily until ctx ends.
func (g *Gateway) watchExpiry(ctx context.Context) {
	for {
		timer := time.NewTimer(warnOfExpiry(g.log, g.compiler.Current().ClientCertificates(), g.now()))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}
