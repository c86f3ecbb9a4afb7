// Package resource is the rules about the documents of the gateway, which are
// the AWS SDK's own types: how one is made from a create call, what a patch may
// do to it, which security policy is legal where, what a resource policy says.
// It knows neither wire nor disk.
//
// What the service fixes is in tables, with its source: legality (policy by
// endpoint type), the table of paths of each Update operation, the condition
// operators and keys of a policy. A rule is pure: it never edits its input, loads nothing, and
// a refusal is an *Error that names every problem, in AWS's words where those
// are known. Whether another document exists is for the caller.
//
//	api, root, err := resource.NewRestAPI(in, id, rootID, now)
//	api, err = resource.UpdateRestAPI(api, in.PatchOperations)
//	frozen, err := resource.Freeze(api, resources)
//
// Everything here is safe for concurrent use.
package resource
