// Package securityhub answers the operations of AWS Security Hub that tools for
// its controls use, over what the auditor knows of this gateway: findings in
// ASFF, what people say of them, the controls with their parameters, and the
// standards that list them. The hub counts as enabled from the first run, with
// consolidated control findings.
package securityhub

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/securityhub"
	"github.com/aws/aws-sdk-go-v2/service/securityhub/types"

	"github.com/sallyport/sallyport/internal/asff"
	"github.com/sallyport/sallyport/internal/auditor"
	"github.com/sallyport/sallyport/internal/controlplane"
	"github.com/sallyport/sallyport/internal/resource"
)

// name is the service's in the wire tables.
const name = "securityhub"

type service struct {
	*controlplane.Server
	audit *auditor.Auditor
}

// Register adds the operations of Security Hub to server. The auditor may be
// nil for a server that only lists its operations.
func Register(server *controlplane.Server, audit *auditor.Auditor) {
	s := &service{server, audit}

	controlplane.Handle(server, name, s.describeHub)

	controlplane.Handle(server, name, s.getFindings)
	controlplane.Handle(server, name, s.batchUpdateFindings)
	controlplane.Handle(server, name, s.getFindingHistory)

	controlplane.Handle(server, name, s.listSecurityControlDefinitions)
	controlplane.Handle(server, name, s.getSecurityControlDefinition)
	controlplane.Handle(server, name, s.batchGetSecurityControls)
	controlplane.Handle(server, name, s.updateSecurityControl)

	controlplane.Handle(server, name, s.describeStandards)
	controlplane.Handle(server, name, s.getEnabledStandards)
	controlplane.Handle(server, name, s.describeStandardsControls)
	controlplane.Handle(server, name, s.listStandardsControlAssociations)
	controlplane.Handle(server, name, s.batchGetStandardsControlAssociations)
}

// arn is the ARN of something of the hub.
func (s *service) arn(rest string) string {
	return "arn:" + asff.Partition(s.Options().Region) + ":securityhub:" + s.Options().Region + ":" + s.Options().Account + ":" + rest
}

func (s *service) describeHub(_ context.Context, _ *controlplane.Call, in *securityhub.DescribeHubInput) (*securityhub.DescribeHubOutput, error) {
	hub := s.arn("hub/default")
	if in.HubArn != nil && *in.HubArn != hub {
		return nil, resource.Errorf(resource.NotFound, "There is no hub %s; the hub here is %s.", *in.HubArn, hub)
	}
	return &securityhub.DescribeHubOutput{
		HubArn: &hub, SubscribedAt: aws.String(s.audit.Enabled().Format(time.RFC3339)), AutoEnableControls: aws.Bool(true),
		ControlFindingGenerator: types.ControlFindingGeneratorSecurityControl,
	}, nil
}

// invalid is a parameter that the hub does not take.
func invalid(format string, args ...any) error {
	return resource.Errorf(resource.BadRequest, format, args...)
}

// size is how many entries a page has: n where it is given, from 1 to 100.
func size(given *int32, n int) (int, error) {
	if given == nil {
		return n, nil
	}
	if *given < 1 || *given > 100 {
		return 0, invalid("Invalid parameter 'MaxResults'. It must be from 1 to 100.")
	}
	return int(*given), nil
}

// page is where a page begins: after the entry with these keys, in the list
// that the request describes.
type page struct {
	Of    string   `json:"of"` // of the request
	After []string `json:"after"`
}

// maxToken bounds a token in bytes.
const maxToken = 16 << 10

// fingerprint tells lists apart: a token of one is none of another.
func fingerprint(request any) string {
	text, _ := json.Marshal(request) // of the SDK's input types, which have nothing that cannot be written
	sum := sha256.Sum256(text)
	return base64.RawURLEncoding.EncodeToString(sum[:9])
}

func (p page) token() *string {
	text, _ := json.Marshal(p)
	return aws.String(base64.RawURLEncoding.EncodeToString(text))
}

// pageAfter reads a token of a list; none is the list's begin.
func pageAfter(token *string, of string) (page, error) {
	p := page{Of: of}
	if aws.ToString(token) == "" {
		return p, nil
	}
	bad := invalid("Invalid parameter 'NextToken'. It is not a token of this list.")
	if len(*token) > maxToken {
		return p, bad
	}
	text, err := base64.RawURLEncoding.DecodeString(*token)
	if err != nil || json.Unmarshal(text, &p) != nil || p.Of != of || len(p.After) == 0 {
		return p, bad
	}
	return p, nil
}

// pageOf is a page of a list whose entries have unique ids, in the list's order.
func pageOf[T any](all []T, id func(T) string, of string, maxResults *int32, usual int, token *string) ([]T, *string, error) {
	n, err := size(maxResults, usual)
	if err != nil {
		return nil, nil, err
	}
	p, err := pageAfter(token, of)
	if err != nil {
		return nil, nil, err
	}
	if len(p.After) > 0 {
		for i := range all {
			if id(all[i]) == p.After[0] {
				all = all[i+1:]
				break
			}
		}
	}
	if len(all) <= n {
		return all, nil, nil
	}
	return all[:n], page{of, []string{id(all[n-1])}}.token(), nil
}

// clip bounds a stranger's text in an answer.
func clip(s string) string {
	if len(s) > 256 {
		return strings.ToValidUTF8(s[:256], "") + "..."
	}
	return s
}
