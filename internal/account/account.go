// Package account reads an AWS account, or any endpoint that speaks its API, as
// a source of the auditor: every REST stage, domain name, V2 stage, route and
// integration, ACM certificate and search domain of the Regions asked for. It
// hides paging, bounded concurrency and what to make of calls that fail.
//
//	found, err := account.Scan(ctx, account.Options{Config: cfg, Regions: []string{"eu-central-1"}})
//
// What it promises:
//
//   - It only reads: no call changes anything.
//   - What could not be read is a problem of the collection and, for each type
//     of resource behind it, one resource that is judged unknown: a denied call
//     never looks like an empty account.
//   - Every loop ends: a service that repeats its paging token is a problem.
package account

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/sallyport/sallyport/internal/posture"
)

// Bounds of a scan.
const (
	defaultConcurrency = 8
	callTime           = 60 * time.Second // one call with its retries
	maxPages           = 10_000
)

// Options configure Scan. Config is required.
type Options struct {
	// Config has the credentials and, for an endpoint that is not AWS's, the
	// base endpoint. Its retries are the SDK's.
	Config aws.Config
	// Regions to read; empty means Config's own.
	Regions []string
	// Concurrency is how many calls run at a time, 1 to 64; zero means 8.
	Concurrency int
	// Progress, unless nil, is told after each call how many are done of how
	// many known so far, and what was read last. It is called by one goroutine
	// at a time.
	Progress func(done, total int, what string)
}

// Scan reads everything. It fails only when nothing at all could be read: the
// context ended, no Region was named, or every call failed.
func Scan(ctx context.Context, o Options) (*posture.Collection, error) {
	regions := o.Regions
	if len(regions) == 0 {
		regions = []string{o.Config.Region}
	}
	if slices.Contains(regions, "") {
		return nil, errors.New("no Region is set: name one, or set AWS_REGION")
	}
	n := o.Concurrency
	if n == 0 {
		n = defaultConcurrency
	}
	s := &scan{options: o, slots: make(chan struct{}, min(max(n, 1), 64))}
	s.partition, s.account = s.identity(ctx, regions[0])
	s.answered = 0 // who we are is nothing to judge
	for _, region := range regions {
		r := newRegion(s, region)
		s.spawn(func() { r.rest(ctx) })
		s.spawn(func() { r.v2(ctx) })
		s.spawn(func() { r.certificates(ctx) })
		s.spawn(func() { r.searchDomains(ctx) })
	}
	s.running.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.answered == 0 {
		why := s.found.Problems[0]
		for _, p := range s.found.Problems {
			if !strings.Contains(p.Where, " sts:") {
				why = p
				break
			}
		}
		return nil, fmt.Errorf("nothing could be read: %s: %s", why.Where, why.Text)
	}
	return s.sorted(), nil
}

// scan is a run under way.
type scan struct {
	options            Options
	partition, account string
	slots              chan struct{}
	running            sync.WaitGroup

	mu          sync.Mutex
	found       posture.Collection
	done, total int
	answered    int
}

func (s *scan) spawn(f func()) { s.running.Go(f) }

// identity asks who we are, for ARNs. Nothing depends on the answer.
func (s *scan) identity(ctx context.Context, region string) (partition, account string) {
	c := sts.NewFromConfig(s.options.Config, func(o *sts.Options) { o.Region = region })
	var out *sts.GetCallerIdentityOutput
	err := s.call(ctx, "sts:GetCallerIdentity", func(ctx context.Context) (err error) {
		out, err = c.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		return err
	})
	if err != nil || out == nil {
		s.problem(region+" sts:GetCallerIdentity", reasonOf(err)+"; findings carry no account")
		return "aws", ""
	}
	partition = "aws"
	if parts := strings.SplitN(aws.ToString(out.Arn), ":", 3); len(parts) == 3 && parts[1] != "" {
		partition = parts[1]
	}
	return partition, aws.ToString(out.Account)
}

// call runs one call within the bounds.
func (s *scan) call(ctx context.Context, what string, f func(context.Context) error) error {
	s.mu.Lock()
	s.total++
	s.mu.Unlock()
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	limited, cancel := context.WithTimeout(ctx, callTime)
	err := f(limited)
	cancel()
	<-s.slots
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done++
	var answer smithy.APIError
	if err == nil || errors.As(err, &answer) && !denied(answer) {
		s.answered++
	}
	if s.options.Progress != nil {
		s.options.Progress(s.done, s.total, what)
	}
	return err
}

func (s *scan) problem(where, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.found.Problems = append(s.found.Problems, posture.Problem{Where: where, Text: text})
}

func (s *scan) add(r *posture.Resource) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.found.Resources = append(s.found.Resources, r)
}

// sorted puts what came in any order into one.
func (s *scan) sorted() *posture.Collection {
	slices.SortFunc(s.found.Resources, func(a, b *posture.Resource) int {
		return strings.Compare(a.ID+"\x00"+a.Type, b.ID+"\x00"+b.Type)
	})
	slices.SortFunc(s.found.Problems, func(a, b posture.Problem) int {
		return strings.Compare(a.Where+"\x00"+a.Text, b.Where+"\x00"+b.Text)
	})
	return &s.found
}

// errLoop ends paging that goes in circles.
var errLoop = errors.New("the service repeats its paging token")

// pages calls f with one token after the other until there is none.
func pages(f func(token *string) (next *string, err error)) error {
	seen := map[string]bool{}
	var token *string
	for range maxPages {
		next, err := f(token)
		switch {
		case err != nil:
			return err
		case aws.ToString(next) == "":
			return nil
		case seen[*next]:
			return errLoop
		}
		seen[*next] = true
		token = next
	}
	return fmt.Errorf("more than %d pages", maxPages)
}

// denied reports an error about permissions or credentials.
func denied(err smithy.APIError) bool {
	switch code := err.ErrorCode(); code {
	case "AccessDeniedException", "AccessDenied", "UnauthorizedException", "UnrecognizedClientException", "InvalidClientTokenId",
		"ExpiredToken", "ExpiredTokenException", "InvalidSignatureException", "SignatureDoesNotMatch", "OptInRequired", "AuthFailure":
		return true
	default:
		return strings.Contains(code, "Unauthorized")
	}
}

// gone reports that a resource went away between two calls.
func gone(err error) bool {
	var answer smithy.APIError
	return errors.As(err, &answer) && strings.HasPrefix(answer.ErrorCode(), "NotFound") || errors.As(err, &answer) && answer.ErrorCode() == "ResourceNotFoundException"
}

// reasonOf says in a sentence why a call failed.
func reasonOf(err error) string {
	var answer smithy.APIError
	switch {
	case err == nil:
		return "an empty answer"
	case errors.As(err, &answer) && denied(answer):
		return fmt.Sprintf("denied (%s): %s", answer.ErrorCode(), clip(answer.ErrorMessage()))
	case errors.As(err, &answer):
		return fmt.Sprintf("failed (%s): %s", answer.ErrorCode(), clip(answer.ErrorMessage()))
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	}
	return clip(err.Error())
}

// clip bounds what is repeated of a service's text.
func clip(text string) string {
	const most = 300
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
}
