// Package opensearch answers OpenSearch Service's operations on search domains:
// their configuration, endpoint options and tags. The domain's endpoint is
// served by the first gate under the policy that is named here; the cluster
// itself is whatever the operator's targets map the domain to.
package opensearch

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	acmtypes "github.com/aws/aws-sdk-go-v2/service/acm/types"
	"github.com/aws/aws-sdk-go-v2/service/opensearch"
	"github.com/aws/aws-sdk-go-v2/service/opensearch/types"

	"github.com/sallyport/sallyport/internal/controlplane"
	"github.com/sallyport/sallyport/internal/resource"
	"github.com/sallyport/sallyport/internal/store"
)

// name is the service's in the wire tables.
const name = "opensearch"

type service struct{ *controlplane.Server }

// Register adds the operations on search domains to server.
func Register(server *controlplane.Server) {
	s := &service{server}
	controlplane.Handle(server, name, s.createDomain)
	controlplane.Handle(server, name, s.describeDomain)
	controlplane.Handle(server, name, s.describeDomains)
	controlplane.Handle(server, name, s.describeDomainConfig)
	controlplane.Handle(server, name, s.updateDomainConfig)
	controlplane.Handle(server, name, s.listDomainNames)
	controlplane.Handle(server, name, s.deleteDomain)

	controlplane.Handle(server, name, s.addTags)
	controlplane.Handle(server, name, s.listTags)
	controlplane.Handle(server, name, s.removeTags)
}

// Bounds. Source: OpenSearch Service quotas; API reference, AddTags.
const (
	maxDomains = 100
	maxTags    = 10
	idLength   = 26
)

type reader func(key string, doc any) (ok bool, err error)

func (s *service) reader(ctx context.Context) reader {
	return func(key string, doc any) (bool, error) {
		_, ok, err := s.Get(ctx, key, doc)
		return ok, err
	}
}

func (s *service) domain(read reader, name *string) (d types.DomainStatus, err error) {
	ok, err := read(resource.SearchDomainKey(aws.ToString(name)), &d)
	if err == nil && !ok {
		err = resource.Errorf(resource.NotFound, "Domain not found: %s", aws.ToString(name))
	}
	return d, err
}

func (s *service) createDomain(ctx context.Context, _ *controlplane.Call, in *opensearch.CreateDomainInput) (*opensearch.CreateDomainOutput, error) {
	var made types.DomainStatus
	_, err := s.Change(ctx, func(c *controlplane.Change) (err error) {
		if made, err = resource.NewSearchDomain(in, s.Place(), controlplane.NewID(idLength)); err != nil {
			return err
		}
		key := resource.SearchDomainKey(*made.DomainName)
		switch exists, err := c.Get(key, nil); {
		case err != nil:
			return err
		case exists:
			return resource.Errorf(resource.Conflict, "Domain %s already exists", *made.DomainName)
		}
		if err := c.Claim(resource.SearchDomainsMarker); err != nil {
			return err
		}
		all, err := controlplane.ListIn[types.DomainStatus](c, resource.PrefixSearchDomains)
		if err != nil {
			return err
		}
		if len(all) >= maxDomains {
			return resource.Errorf(resource.LimitExceeded, "You have reached the limit of %d domains", maxDomains)
		}
		if err := s.endpoint(c, types.DomainStatus{}, made); err != nil {
			return err
		}
		tags, err := addTags(nil, in.TagList)
		if err != nil {
			return err
		}
		if len(tags) > 0 {
			c.Create(resource.SearchTagsKey(*made.DomainName), tags)
		}
		c.Create(key, made)
		c.Put(resource.SearchHistoryKey(*made.DomainName), resource.SearchHistory{Created: s.Now(), Updated: s.Now(), Version: 1})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &opensearch.CreateDomainOutput{DomainStatus: &made}, nil
}

// endpoint checks a custom endpoint that is new or has another certificate:
// nobody else's name, and a certificate that serves it, which is claimed so that
// it is not deleted at the same moment.
func (s *service) endpoint(c *controlplane.Change, before, after types.DomainStatus) error {
	oldHost, oldCertificate := resource.SearchCustomEndpoint(before)
	host, arn := resource.SearchCustomEndpoint(after)
	if host == "" || host == oldHost && arn == oldCertificate {
		return nil
	}
	if host != oldHost {
		if zone := s.zoneOf(host); zone != "" {
			return resource.Errorf(resource.Validation, "The custom endpoint %s may not be below %s.", host, zone)
		}
		if err := c.Claim(resource.SearchDomainsMarker); err != nil {
			return err
		}
		taken, err := c.Get(resource.DomainNameKey(host), nil)
		if err != nil {
			return err
		}
		all, err := controlplane.ListIn[types.DomainStatus](c, resource.PrefixSearchDomains)
		if err != nil {
			return err
		}
		for _, d := range all {
			other, _ := resource.SearchCustomEndpoint(d)
			taken = taken || other == host && aws.ToString(d.DomainName) != aws.ToString(after.DomainName)
		}
		if taken {
			return resource.Errorf(resource.Validation, "The custom endpoint %s is in use already.", host)
		}
	}
	id, err := resource.ParseCertificateARN(arn)
	if err != nil {
		return resource.Errorf(resource.Validation, "%s", err.Error())
	}
	var stored acmtypes.CertificateDetail
	ok, err := c.Get(resource.CertificateKey(id), &stored)
	if err != nil {
		return err
	}
	var cert *acmtypes.CertificateDetail
	if ok && aws.ToString(stored.CertificateArn) == arn {
		cert = &stored
	}
	if err := resource.ServesDomain(cert, host, s.Now()); err != nil {
		return resource.Errorf(resource.Validation, "%s", err.Error())
	}
	return c.Claim(resource.CertificateMarker(id))
}

// zoneOf is the zone of default endpoints that a host is in; "": none.
func (s *service) zoneOf(host string) string {
	for _, suffix := range s.Options().Suffixes {
		for _, zone := range []string{"execute-api." + s.Options().Region + "." + suffix, resource.SearchZone(s.Options().Region, suffix)} {
			if zone = strings.ToLower(zone); host == zone || strings.HasSuffix(host, "."+zone) {
				return zone
			}
		}
	}
	return ""
}

func (s *service) describeDomain(ctx context.Context, _ *controlplane.Call, in *opensearch.DescribeDomainInput) (*opensearch.DescribeDomainOutput, error) {
	d, err := s.domain(s.reader(ctx), in.DomainName)
	if err != nil {
		return nil, err
	}
	return &opensearch.DescribeDomainOutput{DomainStatus: &d}, nil
}

// describeDomains leaves out what is not there, as AWS does.
func (s *service) describeDomains(ctx context.Context, _ *controlplane.Call, in *opensearch.DescribeDomainsInput) (*opensearch.DescribeDomainsOutput, error) {
	out := &opensearch.DescribeDomainsOutput{DomainStatusList: []types.DomainStatus{}}
	for _, name := range in.DomainNames {
		var d types.DomainStatus
		_, ok, err := s.Get(ctx, resource.SearchDomainKey(name), &d)
		if err != nil {
			return nil, err
		}
		if ok {
			out.DomainStatusList = append(out.DomainStatusList, d)
		}
	}
	return out, nil
}

func (s *service) config(ctx context.Context, name *string) (*types.DomainConfig, error) {
	d, err := s.domain(s.reader(ctx), name)
	if err != nil {
		return nil, err
	}
	var h resource.SearchHistory
	if _, _, err := s.Get(ctx, resource.SearchHistoryKey(*name), &h); err != nil {
		return nil, err
	}
	return resource.SearchDomainConfig(d, h), nil
}

func (s *service) describeDomainConfig(ctx context.Context, _ *controlplane.Call, in *opensearch.DescribeDomainConfigInput) (*opensearch.DescribeDomainConfigOutput, error) {
	c, err := s.config(ctx, in.DomainName)
	if err != nil {
		return nil, err
	}
	return &opensearch.DescribeDomainConfigOutput{DomainConfig: c}, nil
}

// errDry ends a change that is only to be checked.
var errDry = errors.New("dry run")

// updateDomainConfig answers after the gates enforce the change, so its status
// is Active, not Processing.
func (s *service) updateDomainConfig(ctx context.Context, _ *controlplane.Call, in *opensearch.UpdateDomainConfigInput) (*opensearch.UpdateDomainConfigOutput, error) {
	dry := aws.ToBool(in.DryRun)
	var planned *types.DomainConfig
	_, err := s.Change(ctx, func(c *controlplane.Change) error {
		before, err := s.domain(c.Get, in.DomainName)
		if err != nil {
			return err
		}
		after, err := resource.UpdateSearchDomain(before, in)
		if err != nil {
			return err
		}
		var h resource.SearchHistory
		if _, err := c.Get(resource.SearchHistoryKey(*in.DomainName), &h); err != nil {
			return err
		}
		if err := s.endpoint(c, before, after); err != nil {
			return err
		}
		if dry {
			planned = resource.SearchDomainConfig(after, h)
			return errDry
		}
		if reflect.DeepEqual(before, after) {
			return nil
		}
		h.Updated = s.Now()
		h.Version++
		c.Put(resource.SearchDomainKey(*in.DomainName), after)
		c.Put(resource.SearchHistoryKey(*in.DomainName), h)
		return nil
	})
	if err != nil && !errors.Is(err, errDry) {
		return nil, err
	}
	if dry {
		return &opensearch.UpdateDomainConfigOutput{DomainConfig: planned, DryRunResults: &types.DryRunResults{
			DeploymentType: aws.String("DynamicUpdate"), Message: aws.String("The change binds at once: this gateway has no cluster to deploy it to.")}}, nil
	}
	now, err := s.config(ctx, in.DomainName)
	if err != nil {
		return nil, err
	}
	return &opensearch.UpdateDomainConfigOutput{DomainConfig: now}, nil
}

func (s *service) listDomainNames(ctx context.Context, _ *controlplane.Call, in *opensearch.ListDomainNamesInput) (*opensearch.ListDomainNamesOutput, error) {
	docs, err := controlplane.List[types.DomainStatus](ctx, s.Options().Store, store.Range{Prefix: resource.PrefixSearchDomains})
	if err != nil {
		return nil, err
	}
	out := &opensearch.ListDomainNamesOutput{DomainNames: []types.DomainInfo{}}
	for _, d := range docs {
		engine := types.EngineTypeOpenSearch
		if strings.HasPrefix(aws.ToString(d.Doc.EngineVersion), "Elasticsearch") {
			engine = types.EngineTypeElasticsearch
		}
		if in.EngineType == "" || in.EngineType == engine {
			out.DomainNames = append(out.DomainNames, types.DomainInfo{DomainName: d.Doc.DomainName, EngineType: engine})
		}
	}
	return out, nil
}

func (s *service) deleteDomain(ctx context.Context, _ *controlplane.Call, in *opensearch.DeleteDomainInput) (*opensearch.DeleteDomainOutput, error) {
	var gone types.DomainStatus
	_, err := s.Change(ctx, func(c *controlplane.Change) (err error) {
		if gone, err = s.domain(c.Get, in.DomainName); err != nil {
			return err
		}
		for _, key := range []string{resource.SearchDomainKey(*in.DomainName), resource.SearchHistoryKey(*in.DomainName), resource.SearchTagsKey(*in.DomainName)} {
			c.Delete(key)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	gone.Deleted, gone.DomainProcessingStatus = aws.Bool(true), types.DomainProcessingStatusTypeDeleting
	return &opensearch.DeleteDomainOutput{DomainStatus: &gone}, nil
}

// tagged is the name of the domain that an ARN names, if it is there.
func (s *service) tagged(read reader, arn *string) (string, error) {
	name, err := resource.ParseSearchDomainARN(aws.ToString(arn))
	if err == nil {
		_, err = s.domain(read, &name)
	}
	return name, err
}

func addTags(have, more []types.Tag) ([]types.Tag, error) {
	tags := slices.Clone(have)
	for _, t := range more {
		key := aws.ToString(t.Key)
		if key == "" || len(key) > 128 || len(aws.ToString(t.Value)) > 256 || strings.HasPrefix(strings.ToLower(key), "aws:") {
			return nil, resource.Errorf(resource.Validation, "Invalid tag: %q", key)
		}
		tags = slices.DeleteFunc(tags, func(old types.Tag) bool { return aws.ToString(old.Key) == key })
		tags = append(tags, t)
	}
	if len(tags) > maxTags {
		return nil, resource.Errorf(resource.LimitExceeded, "A domain has at most %d tags", maxTags)
	}
	return tags, nil
}

// edit changes the tags of a domain.
func (s *service) edit(ctx context.Context, arn *string, change func([]types.Tag) ([]types.Tag, error)) error {
	_, err := s.Change(ctx, func(c *controlplane.Change) error {
		name, err := s.tagged(c.Get, arn)
		if err != nil {
			return err
		}
		var tags []types.Tag
		if _, err := c.Get(resource.SearchTagsKey(name), &tags); err != nil {
			return err
		}
		after, err := change(tags)
		if err != nil {
			return err
		}
		c.Put(resource.SearchTagsKey(name), after)
		return nil
	})
	return err
}

func (s *service) addTags(ctx context.Context, _ *controlplane.Call, in *opensearch.AddTagsInput) (*opensearch.AddTagsOutput, error) {
	err := s.edit(ctx, in.ARN, func(tags []types.Tag) ([]types.Tag, error) { return addTags(tags, in.TagList) })
	return new(opensearch.AddTagsOutput), err
}

func (s *service) removeTags(ctx context.Context, _ *controlplane.Call, in *opensearch.RemoveTagsInput) (*opensearch.RemoveTagsOutput, error) {
	err := s.edit(ctx, in.ARN, func(tags []types.Tag) ([]types.Tag, error) {
		return slices.DeleteFunc(tags, func(t types.Tag) bool { return slices.Contains(in.TagKeys, aws.ToString(t.Key)) }), nil
	})
	return new(opensearch.RemoveTagsOutput), err
}

func (s *service) listTags(ctx context.Context, _ *controlplane.Call, in *opensearch.ListTagsInput) (*opensearch.ListTagsOutput, error) {
	name, err := s.tagged(s.reader(ctx), in.ARN)
	if err != nil {
		return nil, err
	}
	tags := []types.Tag{}
	if _, _, err := s.Get(ctx, resource.SearchTagsKey(name), &tags); err != nil {
		return nil, err
	}
	return &opensearch.ListTagsOutput{TagList: tags}, nil
}
