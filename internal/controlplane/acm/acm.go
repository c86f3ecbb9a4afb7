// Package acm answers the operations of AWS Certificate Manager that importing
// and keeping certificates takes. Private keys are sealed before they enter the
// store and leave it only towards the gates: no answer and no log carries one.
package acm

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/acm"
	"github.com/aws/aws-sdk-go-v2/service/acm/types"
	gatewaytypes "github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	searchtypes "github.com/aws/aws-sdk-go-v2/service/opensearch/types"

	"github.com/sallyport/sallyport/internal/controlplane"
	"github.com/sallyport/sallyport/internal/pki"
	"github.com/sallyport/sallyport/internal/resource"
	"github.com/sallyport/sallyport/internal/store"
)

// name is the service's in the wire tables.
const name = "acm"

type service struct{ *controlplane.Server }

// Register adds the operations of ACM to server.
func Register(server *controlplane.Server) {
	s := &service{server}
	controlplane.Handle(server, name, s.importCertificate)
	controlplane.Handle(server, name, s.describeCertificate)
	controlplane.Handle(server, name, s.getCertificate)
	controlplane.Handle(server, name, s.listCertificates)
	controlplane.Handle(server, name, s.deleteCertificate)
	controlplane.Handle(server, name, s.addTagsToCertificate)
	controlplane.Handle(server, name, s.listTagsForCertificate)
	controlplane.Handle(server, name, s.removeTagsFromCertificate)
}

// reader is where a document is read from: the server, or a change, which
// guards what it reads.
type reader func(key string, doc any) (ok bool, err error)

func (s *service) reader(ctx context.Context) reader {
	return func(key string, doc any) (bool, error) {
		_, ok, err := s.Get(ctx, key, doc)
		return ok, err
	}
}

// certificate reads the certificate of arn, whose id it returns too.
func (s *service) certificate(read reader, arn *string) (id string, d types.CertificateDetail, err error) {
	if id, err = resource.ParseCertificateARN(aws.ToString(arn)); err != nil {
		return id, d, err
	}
	ok, err := read(resource.CertificateKey(id), &d)
	if err == nil && (!ok || aws.ToString(d.CertificateArn) != *arn) {
		err = resource.Errorf(resource.NotFound, "Could not find certificate %s.", *arn)
	}
	return id, d, err
}

func (s *service) importCertificate(ctx context.Context, _ *controlplane.Call, in *acm.ImportCertificateInput) (*acm.ImportCertificateOutput, error) {
	sealer := s.Options().Sealer
	if sealer == nil {
		return nil, fmt.Errorf("import a certificate: no key to seal private keys with")
	}
	imported, err := pki.ParseCertificate(in.Certificate, in.PrivateKey, in.CertificateChain, s.Options().Now())
	if err != nil {
		return nil, resource.ImportRefused(err)
	}
	key, err := imported.PKCS8()
	if err != nil {
		return nil, err
	}
	var arn string
	_, err = s.Change(ctx, func(c *controlplane.Change) error {
		var id string
		var old *types.CertificateDetail
		if arn = aws.ToString(in.CertificateArn); arn == "" {
			id = controlplane.NewUUID()
			arn = resource.CertificateARN(s.Options().Region, s.Options().Account, id)
		} else {
			found, d, err := s.certificate(c.Get, &arn)
			if err != nil {
				return err
			}
			id, old = found, &d
		}
		d, err := resource.NewCertificate(imported, old, arn, in.Tags, s.Now())
		if err != nil {
			return err
		}
		material := resource.Material{
			Certificate: string(imported.CertificatePEM()),
			Chain:       string(imported.ChainPEM()),
			Sealed:      sealer.Seal(id, key),
		}
		c.Put(resource.MaterialKey(id), material)
		if old == nil {
			tags, err := resource.AddCertificateTags(nil, in.Tags)
			if err != nil {
				return err
			}
			if len(tags) > 0 {
				c.Create(resource.CertificateTagsKey(id), tags)
			}
			c.Create(resource.CertificateKey(id), d)
			return nil
		}
		c.Put(resource.CertificateKey(id), d)
		// Stages that show it to backends take the new one at once: it must do.
		if err := c.Claim(resource.CertificateMarker(id)); err != nil {
			return err
		}
		shown, err := s.ClientCertificateUsers(ctx)
		if err != nil || len(shown[arn]) == 0 {
			return err
		}
		return resource.PresentableCertificate(&d, arn, material.ChainLength(), s.Now())
	})
	if err != nil {
		return nil, err
	}
	return &acm.ImportCertificateOutput{CertificateArn: &arn}, nil
}

// users are the domain names and stages that name each certificate, by its ARN.
func (s *service) users(ctx context.Context) (map[string][]string, error) {
	users, err := s.ClientCertificateUsers(ctx)
	if err != nil {
		return nil, err
	}
	docs, err := controlplane.List[gatewaytypes.DomainName](ctx, s.Options().Store, store.Range{Prefix: resource.PrefixDomainNames})
	for _, d := range docs {
		for _, arn := range resource.DomainCertificates(d.Doc) {
			users[arn] = append(users[arn], resource.DomainNameARN(s.Options().Region, aws.ToString(d.Doc.DomainName)))
		}
	}
	if err != nil {
		return nil, err
	}
	searches, err := controlplane.List[searchtypes.DomainStatus](ctx, s.Options().Store, store.Range{Prefix: resource.PrefixSearchDomains})
	for _, d := range searches {
		if _, arn := resource.SearchCustomEndpoint(d.Doc); arn != "" {
			users[arn] = append(users[arn], aws.ToString(d.Doc.ARN))
		}
	}
	return users, err
}

func (s *service) describeCertificate(ctx context.Context, _ *controlplane.Call, in *acm.DescribeCertificateInput) (*acm.DescribeCertificateOutput, error) {
	_, d, err := s.certificate(s.reader(ctx), in.CertificateArn)
	if err != nil {
		return nil, err
	}
	users, err := s.users(ctx)
	if err != nil {
		return nil, err
	}
	d = resource.ShowCertificate(d, users[*in.CertificateArn], s.Now())
	return &acm.DescribeCertificateOutput{Certificate: &d}, nil
}

func (s *service) getCertificate(ctx context.Context, _ *controlplane.Call, in *acm.GetCertificateInput) (*acm.GetCertificateOutput, error) {
	id, _, err := s.certificate(s.reader(ctx), in.CertificateArn)
	if err != nil {
		return nil, err
	}
	var m resource.Material
	switch _, ok, err := s.Get(ctx, resource.MaterialKey(id), &m); {
	case err != nil:
		return nil, err
	case !ok:
		return nil, fmt.Errorf("certificate %s has no material", id)
	}
	out := &acm.GetCertificateOutput{Certificate: &m.Certificate}
	if m.Chain != "" {
		out.CertificateChain = &m.Chain
	}
	return out, nil
}

// Bounds of a page. Source: ACM API, ListCertificates; AWS's default is 1000.
const maxItems = 1000

// listCertificates reads them all: sorting and filtering need every one.
func (s *service) listCertificates(ctx context.Context, _ *controlplane.Call, in *acm.ListCertificatesInput) (*acm.ListCertificatesOutput, error) {
	n := int(aws.ToInt32(in.MaxItems))
	switch {
	case in.MaxItems == nil:
		n = maxItems
	case n < 1 || n > maxItems:
		return nil, resource.Errorf(resource.Validation, "1 validation error detected: Value '%d' at 'maxItems' failed to satisfy constraint: Member must have value between 1 and %d", n, maxItems)
	}
	if (in.SortBy == "") != (in.SortOrder == "") {
		return nil, resource.Errorf(resource.Validation, "SortBy and SortOrder must be specified together.")
	}
	docs, err := controlplane.List[types.CertificateDetail](ctx, s.Options().Store, store.Range{Prefix: resource.PrefixCertificates})
	if err != nil {
		return nil, err
	}
	users, err := s.users(ctx)
	if err != nil {
		return nil, err
	}
	all := []types.CertificateSummary{}
	for _, d := range docs {
		shown := resource.ShowCertificate(d.Doc, users[aws.ToString(d.Doc.CertificateArn)], s.Now())
		sum := resource.SummarizeCertificate(shown)
		if resource.MatchesCertificate(sum, in.CertificateStatuses, in.CertificateKeyPairOrigins, in.Includes) {
			all = append(all, sum)
		}
	}
	if in.SortBy != "" {
		slices.SortStableFunc(all, func(a, b types.CertificateSummary) int {
			if in.SortOrder == types.SortOrderDescending {
				a, b = b, a
			}
			return aws.ToTime(a.CreatedAt).Compare(aws.ToTime(b.CreatedAt))
		})
	}
	start := 0
	if token := aws.ToString(in.NextToken); token != "" {
		last, err := base64.RawURLEncoding.DecodeString(token)
		at := slices.IndexFunc(all, func(c types.CertificateSummary) bool { return aws.ToString(c.CertificateArn) == string(last) })
		if err != nil || at < 0 {
			return nil, resource.Errorf(resource.Validation, "The next token is not valid, or the certificate that it names is gone.")
		}
		start = at + 1
	}
	page := all[start:min(start+n, len(all))]
	out := &acm.ListCertificatesOutput{CertificateSummaryList: page}
	if start+n < len(all) {
		out.NextToken = aws.String(base64.RawURLEncoding.EncodeToString([]byte(*page[n-1].CertificateArn)))
	}
	return out, nil
}

func (s *service) deleteCertificate(ctx context.Context, _ *controlplane.Call, in *acm.DeleteCertificateInput) (*acm.DeleteCertificateOutput, error) {
	_, err := s.Change(ctx, func(c *controlplane.Change) error {
		id, _, err := s.certificate(c.Get, in.CertificateArn)
		if err != nil {
			return err
		}
		if err := c.Release(resource.CertificateMarker(id)); err != nil {
			return err
		}
		users, err := s.users(ctx)
		if err != nil {
			return err
		}
		if err := resource.DeletableCertificate(*in.CertificateArn, s.Options().Account, users[*in.CertificateArn]); err != nil {
			return err
		}
		for _, key := range []string{resource.CertificateKey(id), resource.MaterialKey(id), resource.CertificateTagsKey(id)} {
			c.Delete(key)
		}
		return c.EndRotations(*in.CertificateArn)
	})
	if err != nil {
		return nil, err
	}
	return &acm.DeleteCertificateOutput{}, nil
}

// retag replaces the tags of a certificate with what edit makes of them.
func (s *service) retag(ctx context.Context, arn *string, edit func([]types.Tag) ([]types.Tag, error)) error {
	_, err := s.Change(ctx, func(c *controlplane.Change) error {
		id, _, err := s.certificate(c.Get, arn)
		if err != nil {
			return err
		}
		var before []types.Tag
		stored, err := c.Get(resource.CertificateTagsKey(id), &before)
		if err != nil {
			return err
		}
		after, err := edit(before)
		if err != nil {
			return err
		}
		switch key := resource.CertificateTagsKey(id); {
		case len(after) > 0:
			c.Put(key, after)
		case stored:
			c.Delete(key)
		}
		return nil
	})
	return err
}

func (s *service) addTagsToCertificate(ctx context.Context, _ *controlplane.Call, in *acm.AddTagsToCertificateInput) (*acm.AddTagsToCertificateOutput, error) {
	err := s.retag(ctx, in.CertificateArn, func(have []types.Tag) ([]types.Tag, error) {
		return resource.AddCertificateTags(have, in.Tags)
	})
	if err != nil {
		return nil, err
	}
	return &acm.AddTagsToCertificateOutput{}, nil
}

func (s *service) removeTagsFromCertificate(ctx context.Context, _ *controlplane.Call, in *acm.RemoveTagsFromCertificateInput) (*acm.RemoveTagsFromCertificateOutput, error) {
	err := s.retag(ctx, in.CertificateArn, func(have []types.Tag) ([]types.Tag, error) {
		return resource.RemoveCertificateTags(have, in.Tags), nil
	})
	if err != nil {
		return nil, err
	}
	return &acm.RemoveTagsFromCertificateOutput{}, nil
}

func (s *service) listTagsForCertificate(ctx context.Context, _ *controlplane.Call, in *acm.ListTagsForCertificateInput) (*acm.ListTagsForCertificateOutput, error) {
	id, _, err := s.certificate(s.reader(ctx), in.CertificateArn)
	if err != nil {
		return nil, err
	}
	tags := []types.Tag{}
	if _, _, err := s.Get(ctx, resource.CertificateTagsKey(id), &tags); err != nil {
		return nil, err
	}
	return &acm.ListTagsForCertificateOutput{Tags: tags}, nil
}
