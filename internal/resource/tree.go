package resource

import (
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
)

// Path parts: a literal, {name}, or {name+}, which takes the rest of the path.
// Source: developer guide, Set up methods; the texts are AWS's.
var (
	literalPart  = regexp.MustCompile(`^[A-Za-z0-9._:-]+$`)
	variablePart = regexp.MustCompile(`^\{[A-Za-z0-9._-]+\+?\}$`)
)

// maxPathPart bounds a path part, in bytes; AWS documents no bound.
const maxPathPart = 255

func isVariable(part string) bool { return strings.HasPrefix(part, "{") }
func isGreedy(part string) bool   { return strings.HasSuffix(part, "+}") }

// checkPlace judges part as a child of parent, among all resources of the API
// or the parent's children; self is not compared with itself.
func checkPlace(part string, parent types.Resource, others []types.Resource, self string) error {
	if len(part) > maxPathPart || !literalPart.MatchString(part) && !variablePart.MatchString(part) {
		return Errorf(BadRequest, "Resource's path part only allow a-zA-Z0-9._-: or a valid greedy path variable and curly braces at the beginning and the end.")
	}
	if isGreedy(aws.ToString(parent.PathPart)) {
		return Errorf(BadRequest, "Cannot create a child of a resource with a greedy path variable: %s", aws.ToString(parent.PathPart))
	}
	for _, o := range others {
		if aws.ToString(o.ParentId) != aws.ToString(parent.Id) || aws.ToString(o.Id) == self {
			continue
		}
		other := aws.ToString(o.PathPart)
		if other == part {
			return Errorf(Conflict, "Another resource with the same parent already has this name: %s", part)
		}
		if isVariable(other) && isVariable(part) {
			return Errorf(BadRequest, "A sibling (%s) of this resource already has a variable path part -- only one is allowed", other)
		}
	}
	return nil
}

// pathUnder refuses to name one parameter twice in a path: a request could
// only mean one of the two.
func pathUnder(parent types.Resource, part string) (string, error) {
	base := strings.TrimSuffix(aws.ToString(parent.Path), "/")
	if isVariable(part) {
		name := strings.TrimRight(strings.Trim(part, "{}"), "+")
		for above := range strings.SplitSeq(base, "/") {
			if isVariable(above) && strings.Trim(above, "{}") == name {
				return "", Errorf(BadRequest, "Path variable {%s} already exists in the path %s", name, base)
			}
		}
	}
	return base + "/" + part, nil
}

// NewResource makes a child of parent. siblings may be the parent's children or
// all resources of the API.
func NewResource(parent types.Resource, siblings []types.Resource, in *apigateway.CreateResourceInput, id string) (types.Resource, error) {
	if in.PathPart == nil {
		var p problems
		p.missing("pathPart")
		return types.Resource{}, p.err()
	}
	if err := checkPlace(*in.PathPart, parent, siblings, id); err != nil {
		return types.Resource{}, err
	}
	path, err := pathUnder(parent, *in.PathPart)
	if err != nil {
		return types.Resource{}, err
	}
	return types.Resource{
		Id:       aws.String(id),
		ParentId: clone(parent.Id),
		Path:     aws.String(path),
		PathPart: clone(in.PathPart),
	}, nil
}

var resourcePaths = table[types.Resource]{rows: []row[types.Resource]{
	{"/parentId", replace, text(func(d *types.Resource) **string { return &d.ParentId })},
	{"/pathPart", replace, text(func(d *types.Resource) **string { return &d.PathPart })},
}}

// UpdateResource renames or moves the resource; all is every resource of the
// API. changed holds the resource itself first, also when nothing changed, then
// each descendant whose path changed.
func UpdateResource(id string, all []types.Resource, ops []types.PatchOperation) (changed []types.Resource, err error) {
	byID := map[string]types.Resource{}
	for _, r := range all {
		byID[aws.ToString(r.Id)] = r
	}
	old, ok := byID[id]
	if !ok {
		return nil, Errorf(NotFound, "Invalid Resource identifier specified")
	}
	if len(ops) == 0 {
		return []types.Resource{old}, nil
	}
	if old.ParentId == nil {
		return nil, Errorf(BadRequest, "The root resource can neither be renamed nor moved")
	}
	r, err := resourcePaths.patch(old, ops)
	if err != nil {
		return nil, err
	}
	parent, ok := byID[aws.ToString(r.ParentId)]
	if !ok {
		return nil, Errorf(NotFound, "Invalid Resource identifier specified")
	}
	below := descendants(id, all)
	if slices.ContainsFunc(below, func(d types.Resource) bool { return aws.ToString(d.Id) == aws.ToString(parent.Id) }) {
		return nil, Errorf(BadRequest, "A resource cannot be moved below itself")
	}
	part := aws.ToString(r.PathPart)
	if err := checkPlace(part, parent, all, id); err != nil {
		return nil, err
	}
	if isGreedy(part) && len(below) > 1 {
		return nil, Errorf(BadRequest, "Cannot create a child of a resource with a greedy path variable: %s", part)
	}

	// Parents come before their children in below, so each path can be built
	// on one that is already right.
	byID[id] = r
	for i, d := range below {
		if i == 0 {
			d = r
		}
		path, err := pathUnder(byID[aws.ToString(d.ParentId)], aws.ToString(d.PathPart))
		if err != nil {
			return nil, err
		}
		same := path == aws.ToString(d.Path)
		d.Path = aws.String(path)
		byID[aws.ToString(d.Id)] = d
		if i == 0 || !same {
			changed = append(changed, d)
		}
	}
	return changed, nil
}

// DeleteResource returns what goes: the resource and all that lies below it.
// The root stays.
func DeleteResource(id string, all []types.Resource) (removed []types.Resource, err error) {
	removed = descendants(id, all)
	if len(removed) == 0 {
		return nil, Errorf(NotFound, "Invalid Resource identifier specified")
	}
	if removed[0].ParentId == nil {
		return nil, Errorf(BadRequest, "The root resource cannot be deleted")
	}
	return removed, nil
}

// descendants lists the resource and all below it, parents first.
func descendants(id string, all []types.Resource) []types.Resource {
	children := map[string][]types.Resource{}
	var list []types.Resource
	for _, r := range all {
		if aws.ToString(r.Id) == id {
			list = append(list, r)
		} else if r.ParentId != nil {
			children[*r.ParentId] = append(children[*r.ParentId], r)
		}
	}
	for i := 0; i < len(list); i++ {
		below := aws.ToString(list[i].Id)
		list = append(list, children[below]...)
		delete(children, below) // a cycle, which no rule lets in, must not run forever
	}
	return list
}
