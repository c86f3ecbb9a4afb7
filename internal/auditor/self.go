package auditor

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	acmtypes "github.com/aws/aws-sdk-go-v2/service/acm/types"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	searchtypes "github.com/aws/aws-sdk-go-v2/service/opensearch/types"

	"github.com/sallyport/sallyport/internal/awsapi"
	"github.com/sallyport/sallyport/internal/posture"
	"github.com/sallyport/sallyport/internal/resource"
)

// A kind is one row of what this gateway has to judge: which keys of the store
// hold it and how a document becomes a resource.
type kind struct {
	prefix string
	typ    string
	parts  int // of the key behind the prefix
	// make returns the resource of a document; an error is a resource of which
	// nothing is known.
	make func(a *Auditor, parts []string, value []byte) (*posture.Resource, error)
}

// kinds lists the resources of this gateway.
var kinds = []kind{
	{resource.PrefixStages, posture.TypeStage, 2, (*Auditor).stage},
	{resource.PrefixDomainNames, posture.TypeDomainName, 1, (*Auditor).domainName},
	{resource.PrefixCertificates, posture.TypeCertificate, 1, (*Auditor).certificate},
	{resource.PrefixSearchDomains, posture.TypeSearchDomain, 1, (*Auditor).searchDomain},
}

// kindOf finds the kind whose document key is, and the key's parts.
func kindOf(key string) (*kind, []string) {
	for i := range kinds {
		if rest, ok := strings.CutPrefix(key, kinds[i].prefix); ok {
			if parts := strings.Split(rest, "/"); len(parts) == kinds[i].parts {
				return &kinds[i], parts
			}
		}
	}
	return nil, nil
}

// stored are the members of a stage that this gateway keeps and does not act on.
var stored = map[string]bool{
	"tracingEnabled":                      true,
	"webAclArn":                           true,
	"cacheClusterEnabled":                 true,
	"methodSettings[].cachingEnabled":     true,
	"methodSettings[].cacheDataEncrypted": true,
}

// NotInEffect are the members of a resource type that this gateway keeps and
// does not act on, as posture.Resource has them. The map must not be changed.
func NotInEffect(typ string) map[string]bool {
	switch typ {
	case posture.TypeStage:
		return stored
	case posture.TypeSearchDomain:
		return storedSearch
	}
	return nil
}

func (a *Auditor) resource(typ, id string, doc any) *posture.Resource {
	return &posture.Resource{Type: typ, ID: id, Region: a.o.Region, Account: a.o.Account, Source: posture.Self, Doc: doc}
}

func (a *Auditor) arn(path string) string { return "arn:aws:apigateway:" + a.o.Region + "::" + path }

func (a *Auditor) stage(parts []string, value []byte) (*posture.Resource, error) {
	id := a.arn("/restapis/" + parts[0] + "/stages/" + parts[1])
	s := new(types.Stage)
	if err := awsapi.Unmarshal(value, s); err != nil {
		return a.resource(posture.TypeStage, id, nil), err
	}
	r := a.resource(posture.TypeStage, id, s)
	r.Tags, r.NotInEffect = s.Tags, stored
	if api := a.apis[parts[0]]; api != nil {
		r.Parent = api
	}
	return r, nil
}

func (a *Auditor) domainName(parts []string, value []byte) (*posture.Resource, error) {
	id := a.arn("/domainnames/" + parts[0])
	d := new(types.DomainName)
	if err := awsapi.Unmarshal(value, d); err != nil {
		return a.resource(posture.TypeDomainName, id, nil), err
	}
	d.DomainNameStatus = types.DomainNameStatusAvailable
	change, ok := a.transitions[parts[0]]
	if ok = ok && a.o.Now().Before(change.Until); ok {
		d.DomainNameStatus = types.DomainNameStatusUpdating
	}
	for _, t := range endpointTypes(d) {
		if arn := aws.ToString(d.DomainNameArn); t == types.EndpointTypePrivate && arn != "" {
			id = arn
		}
	}
	r := a.resource(posture.TypeDomainName, id, d)
	r.Tags = d.Tags
	if ok && change.Previous.SecurityPolicy != resource.TLSStateOfDomain(*d).SecurityPolicy {
		r.NotInEffect = map[string]bool{"securityPolicy": true} // the old policy binds
	}
	return r, nil
}

func endpointTypes(d *types.DomainName) []types.EndpointType {
	if d.EndpointConfiguration == nil {
		return nil
	}
	return d.EndpointConfiguration.Types
}

func (a *Auditor) certificate(parts []string, value []byte) (*posture.Resource, error) {
	id := "arn:aws:acm:" + a.o.Region + ":" + a.o.Account + ":certificate/" + parts[0]
	c := new(acmtypes.CertificateDetail)
	if err := awsapi.Unmarshal(value, c); err != nil {
		return a.resource(posture.TypeCertificate, id, nil), err
	}
	if arn := aws.ToString(c.CertificateArn); arn != "" {
		id = arn
	}
	return a.resource(posture.TypeCertificate, id, c), nil
}

// storedSearch are the members of a search domain that this gateway keeps and
// does not act on: it has no nodes.
var storedSearch = map[string]bool{"NodeToNodeEncryptionOptions": true}

func (a *Auditor) searchDomain(parts []string, value []byte) (*posture.Resource, error) {
	id := "arn:aws:es:" + a.o.Region + ":" + a.o.Account + ":domain/" + parts[0]
	d := new(searchtypes.DomainStatus)
	if err := awsapi.Unmarshal(value, d); err != nil {
		return a.resource(posture.TypeSearchDomain, id, nil), err
	}
	r := a.resource(posture.TypeSearchDomain, id, d)
	r.NotInEffect = storedSearch
	return r, nil
}
