package resource

import (
	"net/url"
	"regexp"
	"strings"
)

// Place is where this gateway says it is: parts of ARNs and of generated names.
type Place struct {
	Region  string // us-east-1
	Account string // 000000000000
	Suffix  string // of default endpoints' names: amazonaws.com
}

func RestAPIARN(region, id string) string {
	return "arn:aws:apigateway:" + region + "::/restapis/" + id
}

func StageARN(region, api, stage string) string {
	return RestAPIARN(region, api) + "/stages/" + stage
}

func DomainNameARN(region, name string) string {
	return "arn:aws:apigateway:" + region + "::/domainnames/" + name
}

func ClientCertificateARN(region, id string) string {
	return "arn:aws:apigateway:" + region + "::/clientcertificates/" + id
}

func CertificateARN(region, account, id string) string {
	return "arn:aws:acm:" + region + ":" + account + ":certificate/" + id
}

// ExecuteAPIARN is the ARN that requests to an API begin with; a request's own
// goes on with /STAGE/METHOD/path.
func ExecuteAPIARN(at Place, api string) string {
	return "arn:aws:execute-api:" + at.Region + ":" + at.Account + ":" + api
}

// TagKind is what a taggable ARN names.
type TagKind int

const (
	TagRestAPI           TagKind = iota + 1 // parts: API
	TagStage                                // parts: API, stage
	TagDomainName                           // parts: name
	TagCertificate                          // parts: id; of ACM
	TagClientCertificate                    // parts: id
	TagVPCLink                              // parts: id; of either version
)

// arnForms are the ARNs that carry tags here. The API Gateway ones leave the
// account empty, except those of private domain names, which have the domain
// name's id behind a plus sign; policies name these under execute-api.
// Source: API reference, Tag; the AWS CLI's examples; ACM reference, CertificateDetail.
var arnForms = []struct {
	kind TagKind
	re   *regexp.Regexp
}{
	{TagRestAPI, regexp.MustCompile(`^arn:aws[a-z-]*:apigateway:[a-z0-9-]+:[0-9]*:/restapis/([A-Za-z0-9]+)$`)},
	{TagStage, regexp.MustCompile(`^arn:aws[a-z-]*:apigateway:[a-z0-9-]+:[0-9]*:/restapis/([A-Za-z0-9]+)/stages/([A-Za-z0-9_-]+)$`)},
	{TagDomainName, regexp.MustCompile(`^arn:aws[a-z-]*:apigateway:[a-z0-9-]+:[0-9]*:/domainnames/([A-Za-z0-9.*_-]+)(?:\+[a-z0-9]+)?$`)},
	{TagDomainName, regexp.MustCompile(`^arn:aws[a-z-]*:execute-api:[a-z0-9-]+:[0-9]*:/domainnames/([A-Za-z0-9.*_-]+)(?:\+[a-z0-9]+)?$`)},
	{TagClientCertificate, regexp.MustCompile(`^arn:aws[a-z-]*:apigateway:[a-z0-9-]+:[0-9]*:/clientcertificates/([a-z0-9]+)$`)},
	{TagVPCLink, regexp.MustCompile(`^arn:aws[a-z-]*:apigateway:[a-z0-9-]+:[0-9]*:/vpclinks/([A-Za-z0-9]+)$`)},
	{TagCertificate, regexp.MustCompile(`^arn:aws[a-z-]*:acm:[a-z0-9-]+:[0-9]*:certificate/([A-Za-z0-9-]+)$`)},
}

// ParseTagARN takes an ARN, percent-encoded or not, apart. It is BadRequest
// when the ARN is malformed or names nothing that carries tags here.
func ParseTagARN(arn string) (kind TagKind, parts []string, err error) {
	plain := arn
	if strings.Contains(arn, "%") {
		if plain, err = url.PathUnescape(arn); err != nil {
			return 0, nil, malformedARN(arn)
		}
	}
	if len(plain) <= maxARN {
		for _, f := range arnForms {
			if m := f.re.FindStringSubmatch(plain); m != nil {
				return f.kind, m[1:], nil
			}
		}
	}
	return 0, nil, malformedARN(arn)
}

// maxARN bounds what is worth matching. Source: CertificateDetail.CertificateArn is 20 to 2048.
const maxARN = 2048

func malformedARN(arn string) error {
	return Errorf(BadRequest, "Invalid ARN. ARN is not well formed %s", arn)
}
