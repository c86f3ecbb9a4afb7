package awsapi

import "reflect"

// table is one generated file: a service as the SDK knows it. Its parts are
// functions so that a program pays for them only when it first needs them.
type table struct {
	service    Service
	operations func() []*Operation
	shapes     func() []shape
	unions     func() []union
}

// shape says how the fields of a struct travel.
type shape struct {
	Type    reflect.Type
	Members []member
}

// member is one field of a struct on the wire.
type member struct {
	Field    string   // the Go field, to find it by reflection
	Wire     string   // its name on the wire; empty for a payload and for the rest of the query
	In       location // where it travels; the zero value is the body's document
	Time     timeForm // for timestamps only
	Item     string   // the element of a list in the Query protocol
	Required bool
}

// union is an SDK interface with its members: structs with one field, Value.
type union struct {
	Type    reflect.Type
	Members []reflect.Type
}

// location is where a member travels.
type location int

const (
	inBody      location = iota // a member of the JSON, form or XML document
	inURI                       // a label of the path
	inQuery                     // a query parameter; lists repeat it
	inQueryRest                 // a map: every query parameter that nothing else names
	inHeader                    // a header
	inPayload                   // the whole body
	inStatus                    // the HTTP status
)

// timeForm is how a timestamp is written.
type timeForm int

const (
	noTime       timeForm = iota
	epochSeconds          // JSON number, seconds since 1970 with up to milliseconds
	dateTime              // string, ISO 8601 in UTC
	httpDate              // string, RFC 9110
)
