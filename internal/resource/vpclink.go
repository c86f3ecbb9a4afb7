package resource

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2"
	v2types "github.com/aws/aws-sdk-go-v2/service/apigatewayv2/types"
)

// Quotas of VPC links, of an account and Region. Source: API Gateway quotas.
const (
	MaxVPCLinks   = 20
	MaxVPCLinksV2 = 10
	maxSubnets    = 10
)

// maxGroups bounds the security groups of a VPC link, maxLinkName the name of
// one of version 2, in characters. Source of the latter: API reference,
// StringWithLengthBetween1And128; AWS documents no bound of the former.
const (
	maxGroups   = 16
	maxLinkName = 128
)

// VPCLinkMarker speaks for the integrations that go by a VPC link,
// MarkerVPCLinks for how many there are.
func VPCLinkMarker(id string) string { return MarkerVPCLinks + "/" + id }

const MarkerVPCLinks = PrefixMarkers + "vpclinks"

var (
	networkLoadBalancer = regexp.MustCompile(`^arn:aws[a-z-]*:elasticloadbalancing:[a-z0-9-]+:[0-9]{12}:loadbalancer/net/[A-Za-z0-9-]{1,32}/[A-Za-z0-9]{1,32}$`)
	integrationTarget   = regexp.MustCompile(`^arn:aws[a-z-]*:elasticloadbalancing:[a-z0-9-]+:[0-9]{12}:(loadbalancer/(app|net)/[A-Za-z0-9-]{1,32}/[A-Za-z0-9]{1,32}|listener/(app|net)/[A-Za-z0-9-]{1,32}/[A-Za-z0-9]{1,32}/[A-Za-z0-9]{1,32})$`)
	linkID              = regexp.MustCompile(`^[A-Za-z0-9]{1,64}$`)
	subnetID            = regexp.MustCompile(`^subnet-[0-9a-f]{4,32}$`)
	groupID             = regexp.MustCompile(`^sg-[0-9a-f]{4,32}$`)
)

// Link is what an integration needs to know of a VPC link.
type Link struct {
	V2     bool
	Target string // the load balancer's ARN of version 1; a link of version 2 leads anywhere
}

// LinkOf is what integrations need of a link of version 1.
func LinkOf(l types.VpcLink) Link {
	var target string
	if len(l.TargetArns) > 0 {
		target = l.TargetArns[0]
	}
	return Link{Target: target}
}

// LinkVariable is the stage variable that connectionId names in place of a
// link, "" when it names none.
func LinkVariable(connectionID string) string {
	name, ok := strings.CutPrefix(connectionID, "${stageVariables.")
	name, end := strings.CutSuffix(name, "}")
	if !ok || !end || !stageVariable.MatchString("stageVariables."+name) {
		return ""
	}
	return name
}

// Route is where an integration goes by the link that id names, nil when there
// is none: the ARN that the operator's targets map to addresses. target is the
// integration's own, which a link of version 2 needs and one of version 1 must
// not have. Source: developer guide, Private integrations for REST APIs.
func Route(link *Link, id, target string) (string, error) {
	switch {
	case link == nil:
		return "", Errorf(BadRequest, "Invalid Vpc Link identifier specified: there is no VPC link %s", id)
	case link.V2 && target == "":
		return "", Errorf(BadRequest, "integrationTarget is required with the VPC link %s, which is a VPC link V2: the ARN of a load balancer or listener", id)
	case link.V2:
		return target, nil
	case target != "":
		return "", Errorf(BadRequest, "integrationTarget is only supported with VPC links V2; the VPC link %s has its own target", id)
	}
	return link.Target, nil
}

// SameConnection reports whether two integrations go the same way to their
// backend's host.
func SameConnection(a, b types.Integration) bool {
	return a.ConnectionType == b.ConnectionType && aws.ToString(a.ConnectionId) == aws.ToString(b.ConnectionId) &&
		aws.ToString(a.IntegrationTarget) == aws.ToString(b.IntegrationTarget)
}

// Routable refuses a target to which no address is mapped: nothing could be
// sent there. mapped says what is; nil: nothing.
func Routable(target string, mapped func(string) bool) error {
	if mapped != nil && mapped(target) {
		return nil
	}
	return Errorf(BadRequest, "%s has no address here: map it to host:port in the setting targets of this gateway", target)
}

// checkConnection judges the members that lead an integration by a VPC link, as
// far as they show it themselves.
func (p *problems) checkConnection(i types.Integration) {
	target := aws.ToString(i.IntegrationTarget)
	if i.ConnectionType != types.ConnectionTypeVpcLink {
		if target != "" {
			p.addf("integrationTarget is only supported with connectionType VPC_LINK")
		}
		return
	}
	switch id := aws.ToString(i.ConnectionId); {
	case id == "":
		p.addf("connectionId is required with connectionType VPC_LINK")
	case LinkVariable(id) == "" && !linkID.MatchString(id):
		p.addf("Invalid Vpc Link identifier specified: connectionId must be a VPC link's id or ${stageVariables.NAME}")
	}
	if !overHTTP(i.Type) {
		p.addf("connectionType VPC_LINK is only supported for the integration types HTTP and HTTP_PROXY")
	}
	if target != "" && !integrationTarget.MatchString(target) {
		p.addf("Invalid integrationTarget specified: '%s' is not the ARN of an Application or Network Load Balancer or of a listener of one", target)
	}
}

// NewVPCLink makes a link of version 1. It leads to exactly one Network Load
// Balancer, which mapped must know. Source of the texts: AWS, observed.
func NewVPCLink(in *apigateway.CreateVpcLinkInput, id string, mapped func(string) bool) (types.VpcLink, error) {
	l := types.VpcLink{
		Description: given(in.Description),
		Id:          aws.String(id),
		Name:        clone(in.Name),
		Tags:        clone(in.Tags),
		TargetArns:  clone(in.TargetArns),
		Status:      types.VpcLinkStatusAvailable,
	}
	var p problems
	if in.Name == nil {
		p.missing("name")
	}
	if in.TargetArns == nil {
		p.missing("targetArns")
	}
	p.name("Name", l.Name)
	p.description(l.Description)
	p.tags(l.Tags)
	switch {
	case len(l.TargetArns) > 1:
		p.addf("More than one target arn specified for vpc link.")
	case len(l.TargetArns) == 0:
		p.addf("targetArns must hold the ARN of a Network Load Balancer")
	case !networkLoadBalancer.MatchString(l.TargetArns[0]):
		p.addf("Invalid targetArns specified: '%s' is not the ARN of a Network Load Balancer", l.TargetArns[0])
	default:
		p.take(Routable(l.TargetArns[0], mapped))
	}
	if err := p.err(); err != nil {
		return types.VpcLink{}, err
	}
	return l, nil
}

var vpcLinkPaths = table[types.VpcLink]{rows: []row[types.VpcLink]{
	{"/name", replace, text(func(d *types.VpcLink) **string { return &d.Name })},
	{"/description", replace, text(func(d *types.VpcLink) **string { return &d.Description })},
}}

// UpdateVPCLink renames a link; where it leads never changes.
func UpdateVPCLink(old types.VpcLink, ops []types.PatchOperation) (types.VpcLink, error) {
	l, err := vpcLinkPaths.patch(old, ops)
	if err != nil {
		return old, err
	}
	var p problems
	p.name("Name", l.Name)
	p.description(l.Description)
	if err := p.err(); err != nil {
		return old, err
	}
	return l, nil
}

// ShowVPCLink is l as answers carry it: FAILED when its target has lost its
// addresses since. Source of the first text: the AWS CLI's examples.
func ShowVPCLink(l types.VpcLink, mapped func(string) bool) types.VpcLink {
	l.Status, l.StatusMessage = types.VpcLinkStatusAvailable, aws.String("Your vpc link is ready for use")
	if err := Routable(LinkOf(l).Target, mapped); err != nil {
		l.Status, l.StatusMessage = types.VpcLinkStatusFailed, aws.String(err.Error())
	}
	if l.Tags == nil {
		l.Tags = map[string]string{}
	}
	return l
}

// NewVPCLinkV2 makes a link of version 2, which leads wherever the
// integrations that go by it say. There are no subnets or security groups here:
// they are kept for those who ask.
func NewVPCLinkV2(in *apigatewayv2.CreateVpcLinkInput, id string, now time.Time) (v2types.VpcLink, error) {
	l := v2types.VpcLink{
		CreatedDate:          aws.Time(now),
		Name:                 clone(in.Name),
		SecurityGroupIds:     []string{},
		SubnetIds:            []string{},
		Tags:                 clone(in.Tags),
		VpcLinkId:            aws.String(id),
		VpcLinkStatus:        v2types.VpcLinkStatusAvailable,
		VpcLinkStatusMessage: aws.String("VPC link is ready to route traffic"), // the AWS CLI's examples
		VpcLinkVersion:       v2types.VpcLinkVersionV2,
	}
	for _, s := range in.SubnetIds {
		include(&l.SubnetIds, s)
	}
	for _, g := range in.SecurityGroupIds {
		include(&l.SecurityGroupIds, g)
	}
	if l.Tags == nil {
		l.Tags = map[string]string{}
	}
	var p problems
	p.linkName(l.Name)
	if n := len(l.SubnetIds); n < 1 || n > maxSubnets {
		p.addf("subnetIds must hold 1 to %d subnets", maxSubnets)
	}
	if len(l.SecurityGroupIds) > maxGroups {
		p.addf("securityGroupIds must hold at most %d security groups", maxGroups)
	}
	p.all("subnetIds", l.SubnetIds, subnetID, "a subnet's id")
	p.all("securityGroupIds", l.SecurityGroupIds, groupID, "a security group's id")
	p.tags(l.Tags)
	if err := p.err(); err != nil {
		return v2types.VpcLink{}, err
	}
	return l, nil
}

// all wants every entry of a list to have one form.
func (p *problems) all(member string, list []string, form *regexp.Regexp, what string) {
	if i := slices.IndexFunc(list, func(s string) bool { return !form.MatchString(s) }); i >= 0 {
		p.addf("Invalid %s specified: '%s' is not %s", member, list[i], what)
	}
}

func (p *problems) linkName(name *string) {
	if p.name("Name", name); len([]rune(aws.ToString(name))) > maxLinkName {
		p.addf("Name must be at most %d characters", maxLinkName)
	}
}

// UpdateVPCLinkV2 renames a link; subnets and security groups never change.
func UpdateVPCLinkV2(old v2types.VpcLink, in *apigatewayv2.UpdateVpcLinkInput) (v2types.VpcLink, error) {
	if in.Name == nil {
		return old, nil
	}
	l := clone(old)
	l.Name = clone(in.Name)
	var p problems
	p.linkName(l.Name)
	if err := p.err(); err != nil {
		return old, err
	}
	return l, nil
}

// RoomForVPCLink refuses one more link than the quota has. Own text.
func RoomForVPCLink(quota, have int) error {
	if have < quota {
		return nil
	}
	return Errorf(LimitExceeded, "Maximum number of VPC links has been reached. The limit is %d.", quota)
}

// maxUsers bounds how many users of a VPC link a refusal names.
const maxUsers = 20

// DeletableVPCLink refuses while methods go by the link: those that stages
// serve, API:METHOD:RESOURCE:STAGE, or those being edited, API:METHOD:RESOURCE.
// Source of the text: AWS, observed, of the former.
func DeletableVPCLink(id string, served, edited []string) error {
	users, form := served, "RESTApiId:Method:Resource:Stage"
	if len(users) == 0 {
		users, form = edited, "RESTApiId:Method:Resource"
	}
	if len(users) == 0 {
		return nil
	}
	users = slices.Sorted(slices.Values(users))
	if len(users) > maxUsers {
		users = append(users[:maxUsers], "...")
	}
	return Errorf(BadRequest, "Cannot delete vpc link. Vpc link '%s', is referenced in [%s] in format of [%s].", id, strings.Join(users, ", "), form)
}

// UsersOfLink lists the methods of resources that go by the VPC link, as
// METHOD:RESOURCE; variables are those of the stage that serves them, nil when
// none does.
func UsersOfLink(id string, resources []types.Resource, variables map[string]string) []string {
	var users []string
	for _, r := range resources {
		for _, verb := range sortedKeys(r.ResourceMethods) {
			i := r.ResourceMethods[verb].MethodIntegration
			if i == nil || i.ConnectionType != types.ConnectionTypeVpcLink {
				continue
			}
			link := aws.ToString(i.ConnectionId)
			if name := LinkVariable(link); name != "" {
				link = variables[name]
			}
			if link == id {
				users = append(users, verb+":"+aws.ToString(r.Id))
			}
		}
	}
	return users
}
