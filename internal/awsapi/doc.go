// Package awsapi is the wire of the AWS services that Sallyport answers as:
// which operations there are, how a request becomes the SDK's XxxInput, and
// how an XxxOutput, a document or an error becomes an answer.
//
// The documents are the types of the AWS SDK for Go. What they are called and
// where they are bound on the wire is in tables, zz_*.go, that the program in
// gen writes from the SDK's own serializers; facts that the SDK does not hold
// are in facts.go, by hand, with their source. Plans made from both are
// compiled once per type and kept.
//
// A server's usual call:
//
//	op, err := awsapi.Route(scope.Service, r, body)
//	req, err := op.Decode(r, body)
//	in := req.Input.(*apigateway.CreateRestApiInput)
//	...
//	err = op.Encode(w, requestID, out)        // or
//	awsapi.WriteError(w, op.Service.Protocol, requestID, wireError)
//
// and a store's: awsapi.Marshal(stage), awsapi.Unmarshal(data, &stage).
//
// Everything here is safe for concurrent use and never edits what it is given.
package awsapi

//go:generate go run ./gen
