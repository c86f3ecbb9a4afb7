package resource

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/google/go-cmp/cmp"
)

// tree makes resources from paths, parents first; ids are the paths.
func tree(paths ...string) []types.Resource {
	all := []types.Resource{{Id: aws.String("/"), Path: aws.String("/")}}
	for _, p := range paths {
		at := strings.LastIndexByte(p, '/')
		parent := max(at, 1)
		all = append(all, types.Resource{Id: aws.String(p), ParentId: aws.String(p[:parent]), PathPart: aws.String(p[at+1:]), Path: aws.String(p)})
	}
	return all
}

func find(all []types.Resource, id string) types.Resource {
	for _, r := range all {
		if aws.ToString(r.Id) == id {
			return r
		}
	}
	panic(id)
}

func TestNewResource(t *testing.T) {
	const badPart = "BadRequest: Resource's path part only allow a-zA-Z0-9._-: or a valid greedy path variable and curly braces at the beginning and the end."
	all := tree("/pets", "/pets/{id}", "/files", "/files/{proxy+}")
	for _, tt := range []struct{ parent, part, path, want string }{
		{"/", "cats", "/cats", ""},
		{"/", "v1.0:a_b-c", "/v1.0:a_b-c", ""},
		{"/", "{id}", "/{id}", ""},
		{"/", "{proxy+}", "/{proxy+}", ""},
		{"/pets", "new", "/pets/new", ""},
		{"/pets/{id}", "toys", "/pets/{id}/toys", ""},
		{"/", "pets", "", "Conflict: Another resource with the same parent already has this name: pets"},
		{"/pets", "{name}", "", "BadRequest: A sibling ({id}) of this resource already has a variable path part -- only one is allowed"},
		{"/pets", "{proxy+}", "", "BadRequest: A sibling ({id}) of this resource already has a variable path part -- only one is allowed"},
		{"/files/{proxy+}", "x", "", "BadRequest: Cannot create a child of a resource with a greedy path variable: {proxy+}"},
		{"/pets/{id}", "{id}", "", "BadRequest: Path variable {id} already exists in the path /pets/{id}"},
		{"/", "", "", badPart},
		{"/", "a/b", "", badPart},
		{"/", "a b", "", badPart},
		{"/", "{}", "", badPart},
		{"/", "{a", "", badPart},
		{"/", "a{b}", "", badPart},
		{"/", "{a+}b", "", badPart},
		{"/", "{a++}", "", badPart},
		{"/", "%2e", "", badPart},
		{"/", strings.Repeat("a", 256), "", badPart},
	} {
		r, err := NewResource(find(all, tt.parent), all, &apigateway.CreateResourceInput{PathPart: &tt.part}, "new")
		checkErr(t, err, tt.want)
		if err == nil && (aws.ToString(r.Path) != tt.path || aws.ToString(r.ParentId) != tt.parent || aws.ToString(r.Id) != "new") {
			t.Errorf("%s under %s: %s", tt.part, tt.parent, aws.ToString(r.Path))
		}
	}
	_, err := NewResource(all[0], all, &apigateway.CreateResourceInput{}, "new")
	checkErr(t, err, "Validation: 1 validation error detected: Value null at 'pathPart' failed to satisfy constraint: Member must not be null")
}

func TestUpdateResource(t *testing.T) {
	all := tree("/pets", "/pets/{id}", "/pets/{id}/toys", "/files", "/files/{proxy+}")
	for _, tt := range []struct {
		id   string
		ops  []string
		want string
		// changed: id and new path of each, the resource itself first.
		changed []string
	}{
		{"/pets", []string{"replace /pathPart=cats"}, "", []string{"/pets=/cats", "/pets/{id}=/cats/{id}", "/pets/{id}/toys=/cats/{id}/toys"}},
		{"/pets/{id}", []string{"replace /parentId=/"}, "", []string{"/pets/{id}=/{id}", "/pets/{id}/toys=/{id}/toys"}},
		{"/pets/{id}", []string{"replace /parentId=/", "replace /pathPart={name}"}, "", []string{"/pets/{id}=/{name}", "/pets/{id}/toys=/{name}/toys"}},
		{"/pets", nil, "", []string{"/pets=/pets"}},
		{"/pets", []string{"replace /pathPart=pets"}, "", []string{"/pets=/pets"}},
		{"/pets", []string{"replace /pathPart=files"}, "Conflict: Another resource with the same parent already has this name: files", nil},
		{"/pets", []string{"replace /parentId=/pets/{id}"}, "BadRequest: A resource cannot be moved below itself", nil},
		{"/pets", []string{"replace /parentId=/pets"}, "BadRequest: A resource cannot be moved below itself", nil},
		{"/pets", []string{"replace /parentId=/files/{proxy+}"}, "BadRequest: Cannot create a child of a resource with a greedy path variable: {proxy+}", nil},
		{"/pets", []string{"replace /pathPart={pets+}"}, "BadRequest: Cannot create a child of a resource with a greedy path variable: {pets+}", nil},
		{"/pets", []string{"replace /pathPart={id}"}, "BadRequest: Path variable {id} already exists in the path /{id}", nil},
		{"/pets", []string{"replace /parentId=nobody"}, "NotFound: Invalid Resource identifier specified", nil},
		{"/", []string{"replace /pathPart=x"}, "BadRequest: The root resource can neither be renamed nor moved", nil},
		{"nobody", nil, "NotFound: Invalid Resource identifier specified", nil},
	} {
		t.Run(fmt.Sprint(tt.id, tt.ops), func(t *testing.T) {
			changed, err := UpdateResource(tt.id, all, patches(tt.ops...))
			checkErr(t, err, tt.want)
			var got []string
			for _, r := range changed {
				got = append(got, aws.ToString(r.Id)+"="+aws.ToString(r.Path))
			}
			if d := cmp.Diff(tt.changed, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
	if d := cmp.Diff(tree("/pets", "/pets/{id}", "/pets/{id}/toys", "/files", "/files/{proxy+}"), all, sdk); d != "" {
		t.Errorf("the input was edited:\n%s", d)
	}
}

func TestDeleteResource(t *testing.T) {
	all := tree("/pets", "/pets/{id}", "/pets/{id}/toys", "/files")
	for _, tt := range []struct {
		id, want string
		removed  []string
	}{
		{"/pets", "", []string{"/pets", "/pets/{id}", "/pets/{id}/toys"}},
		{"/files", "", []string{"/files"}},
		{"/", "BadRequest: The root resource cannot be deleted", nil},
		{"nobody", "NotFound: Invalid Resource identifier specified", nil},
	} {
		removed, err := DeleteResource(tt.id, all)
		checkErr(t, err, tt.want)
		var got []string
		for _, r := range removed {
			got = append(got, aws.ToString(r.Id))
		}
		if d := cmp.Diff(tt.removed, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.id, d)
		}
	}
}
