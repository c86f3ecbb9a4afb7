package gateway

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"

	"github.com/sallyport/sallyport/internal/awsapi"
	"github.com/sallyport/sallyport/internal/posture"
	"github.com/sallyport/sallyport/internal/remedy"
	"github.com/sallyport/sallyport/internal/resource"
	"github.com/sallyport/sallyport/internal/store"
)

// clientsAge is how old what is known of clients may be before the connection
// log is read again.
const clientsAge = 30 * time.Second

// clients are those that the connection log tells of.
type clients struct {
	mu   sync.Mutex
	seen *remedy.Seen
	read time.Time
}

// remedies puts into a report of this gateway what closes its findings.
func (g *Gateway) remedies(ctx context.Context, r *posture.Report) {
	remedy.Attach(r, g.auditor.Collect().Resources, remedy.Context{Endpoint: g.runtime.Admin, Clients: g.refused, LogRole: func(string) *string { return g.logRole(ctx) }})
}

// refused says which clients seen at a name a policy would refuse.
func (g *Gateway) refused(name, policy string) []string {
	c := &g.clients
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen == nil || time.Since(c.read) > clientsAge {
		g.mu.Lock()
		dir := g.config.DataDir
		g.mu.Unlock()
		seen, err := remedy.ReadSeen(dir)
		if err != nil {
			g.log.Warn("the connection log cannot be read: what a stricter policy would break is not known", "err", err)
			seen = new(remedy.Seen)
		}
		c.seen, c.read = seen, time.Now()
	}
	return c.seen.Refused(name, policy)
}

// logRole is the account's role for execution logs, "" when it has none.
func (g *Gateway) logRole(ctx context.Context) *string {
	account := new(apigateway.GetAccountOutput)
	doc, err := g.store.Get(ctx, resource.KeyAccount)
	if err == nil {
		err = awsapi.Unmarshal(doc.Value, account)
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil
	}
	role := aws.ToString(account.CloudwatchRoleArn)
	return &role
}
