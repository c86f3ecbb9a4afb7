package apigateway

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	acmtypes "github.com/aws/aws-sdk-go-v2/service/acm/types"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	searchtypes "github.com/aws/aws-sdk-go-v2/service/opensearch/types"

	"github.com/sallyport/sallyport/internal/controlplane"
	"github.com/sallyport/sallyport/internal/resource"
	"github.com/sallyport/sallyport/internal/store"
)

var errNoDomainName = missing("domain name")

func (s *service) createDomainName(ctx context.Context, _ *controlplane.Call, in *apigateway.CreateDomainNameInput) (*apigateway.CreateDomainNameOutput, error) {
	var made types.DomainName
	rev, err := s.Change(ctx, func(c *controlplane.Change) (err error) {
		if made, err = resource.NewDomainName(in, s.Place(), s.Now()); err != nil {
			return err
		}
		key := resource.DomainNameKey(*made.DomainName)
		switch exists, err := c.Get(key, nil); {
		case err != nil:
			return err
		case exists:
			// Not a ConflictException. Source: AWS, observed.
			return resource.Errorf(resource.BadRequest, "The domain name you provided already exists.")
		}
		if err := unclaimed(c, *made.DomainName); err != nil {
			return err
		}
		if err := s.certificates(c, types.DomainName{}, made); err != nil {
			return err
		}
		c.Create(key, made)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return answer[apigateway.CreateDomainNameOutput](s.showDomain(ctx, made, rev, resource.Transition{}))
}

// unclaimed checks that a name is not a search domain's custom endpoint: one
// name leads to one place. Of the two that want it at the same moment one loses,
// since who sets a custom endpoint reads the domain name's key.
func unclaimed(c *controlplane.Change, name string) error {
	if _, err := c.Get(resource.SearchDomainsMarker, nil); err != nil {
		return err
	}
	all, err := controlplane.ListIn[searchtypes.DomainStatus](c, resource.PrefixSearchDomains)
	for _, d := range all {
		if host, _ := resource.SearchCustomEndpoint(d); host == name {
			return resource.Errorf(resource.BadRequest, "The domain name you provided is the custom endpoint of the search domain %s.", aws.ToString(d.DomainName))
		}
	}
	return err
}

// certificates checks those that after names and before did not, and claims
// them, so that none is deleted at the same moment.
func (s *service) certificates(c *controlplane.Change, before, after types.DomainName) error {
	known := resource.DomainCertificates(before)
	for _, arn := range resource.DomainCertificates(after) {
		if slices.Contains(known, arn) {
			continue
		}
		kind, parts, err := resource.ParseTagARN(arn)
		if err != nil || kind != resource.TagCertificate {
			return resource.ServesDomain(nil, "", s.Now())
		}
		id := parts[0]
		var stored acmtypes.CertificateDetail
		ok, err := c.Get(resource.CertificateKey(id), &stored)
		if err != nil {
			return err
		}
		var cert *acmtypes.CertificateDetail
		if ok && aws.ToString(stored.CertificateArn) == arn {
			cert = &stored
		}
		// The ownership certificate proves who owns the name; clients never see it.
		if err := resource.ServesDomain(cert, aws.ToString(after.DomainName), s.Now()); err != nil {
			return err
		}
		if err := c.Claim(resource.CertificateMarker(id)); err != nil {
			return err
		}
	}
	return nil
}

// domainKey is the key of the domain name that a request names; names have no
// case.
func domainKey(name *string) string {
	return resource.DomainNameKey(strings.ToLower(aws.ToString(name)))
}

// domain reads a domain name; id, where a request has one, must be its own.
func (s *service) domain(read reader, name, id *string) (types.DomainName, error) {
	d, err := fetch[types.DomainName](read, domainKey(name), errNoDomainName)
	if err == nil && aws.ToString(id) != "" && aws.ToString(id) != aws.ToString(d.DomainNameId) {
		err = errNoDomainName
	}
	return d, err
}

func (s *service) getDomainName(ctx context.Context, _ *controlplane.Call, in *apigateway.GetDomainNameInput) (*apigateway.GetDomainNameOutput, error) {
	return answer[apigateway.GetDomainNameOutput](s.currentDomain(ctx, in.DomainName, in.DomainNameId))
}

// currentDomain is the domain name as it is stored now, with its status.
func (s *service) currentDomain(ctx context.Context, name, id *string) (types.DomainName, error) {
	var rev store.Revision
	d, err := s.domain(func(key string, doc any) (ok bool, err error) {
		rev, ok, err = s.Get(ctx, key, doc)
		return ok, err
	}, name, id)
	if err != nil {
		return d, err
	}
	var t resource.Transition
	if _, _, err := s.Get(ctx, resource.DomainTransitionKey(*d.DomainName), &t); err != nil {
		return d, err
	}
	return s.showDomain(ctx, d, rev, t)
}

func (s *service) getDomainNames(ctx context.Context, _ *controlplane.Call, in *apigateway.GetDomainNamesInput) (*apigateway.GetDomainNamesOutput, error) {
	if in.ResourceOwner == types.ResourceOwnerOtherAccounts {
		return &apigateway.GetDomainNamesOutput{Items: []types.DomainName{}}, nil
	}
	page, next, err := pageOf[types.DomainName](ctx, s, resource.PrefixDomainNames, in.Limit, in.Position)
	if err != nil {
		return nil, err
	}
	transitions, err := s.transitions(ctx, resource.DomainTransitionKey(""))
	if err != nil {
		return nil, err
	}
	out := &apigateway.GetDomainNamesOutput{Items: make([]types.DomainName, len(page)), Position: next}
	for i, d := range page {
		t := transitions[resource.DomainTransitionKey(aws.ToString(d.Doc.DomainName))]
		if out.Items[i], err = s.showDomain(ctx, d.Doc, d.Revision, t); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (s *service) updateDomainName(ctx context.Context, _ *controlplane.Call, in *apigateway.UpdateDomainNameInput) (*apigateway.UpdateDomainNameOutput, error) {
	_, err := s.Change(ctx, func(c *controlplane.Change) error {
		before, err := s.domain(c.Get, in.DomainName, in.DomainNameId)
		if err != nil {
			return err
		}
		after, err := resource.UpdateDomainName(before, in.PatchOperations, s.Place(), s.Now())
		if err != nil {
			return err
		}
		if err := s.certificates(c, before, after); err != nil {
			return err
		}
		write(c, domainKey(in.DomainName), before, after)
		name := *before.DomainName
		return s.delay(c, resource.DomainTransitionKey(name), "Domain name "+name, resource.TLSStateOfDomain(before), resource.TLSStateOfDomain(after))
	})
	if err != nil {
		return nil, err
	}
	return answer[apigateway.UpdateDomainNameOutput](s.currentDomain(ctx, in.DomainName, in.DomainNameId))
}

// deleteDomainName takes the base path mappings along.
func (s *service) deleteDomainName(ctx context.Context, _ *controlplane.Call, in *apigateway.DeleteDomainNameInput) (*apigateway.DeleteDomainNameOutput, error) {
	_, err := s.Change(ctx, func(c *controlplane.Change) error {
		d, err := s.domain(c.Get, in.DomainName, in.DomainNameId)
		if err != nil {
			return err
		}
		c.Delete(domainKey(in.DomainName))
		c.Delete(resource.DomainTransitionKey(*d.DomainName))
		c.DeleteAll(resource.BasePathMappingsPrefix(*d.DomainName))
		return nil
	})
	return done[apigateway.DeleteDomainNameOutput](err)
}
