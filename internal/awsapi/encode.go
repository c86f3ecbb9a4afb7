package awsapi

import (
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Extra is a member that an answer has beside those of AWS, which every client
// ignores that does not know it.
type Extra struct {
	Name string // of letters and digits; not one of AWS's
	JSON []byte
}

// Encode answers with the operation's output, a *XxxOutput; nil stands for one
// without members. Nothing was sent when it fails, except for a stream that
// breaks on the way. Only JSON documents can have extra members; others leave
// them out.
func (op *Operation) Encode(w http.ResponseWriter, requestID string, out any, extras ...Extra) error {
	v := reflect.ValueOf(out)
	if !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		v = reflect.New(op.output)
	}
	v = reflect.Indirect(v)
	if v.Type() != op.output {
		return fmt.Errorf("awsapi: %s answers with %s, not %s", op.Name, op.output, v.Type())
	}
	plan, err := planOf(op.output)
	if err != nil {
		return err
	}
	status := op.Success
	var body []byte
	switch op.Service.Protocol {
	case Query:
		body, err = op.appendXML(requestID, plan, v)
	case RESTJSON:
		if status, err = plan.headers(w.Header(), v, status); err != nil {
			return err
		}
		if plan.whole != nil {
			return op.writePayload(w, requestID, status, plan.whole, v.Field(plan.whole.index))
		}
		// Deletions and taggings have no members and no body.
		if len(plan.body) > 0 || status == http.StatusOK {
			body, err = appendStruct(make([]byte, 0, 512), plan, v)
		}
	default:
		body, err = appendStruct(make([]byte, 0, 512), plan, v)
	}
	if err != nil {
		return fmt.Errorf("encode %s: %w", op.Name, err)
	}
	if op.Service.Protocol != Query && len(body) > 0 {
		body = appendExtras(body, extras)
	}
	writeAnswer(w, op.Service.Protocol, requestID, status, body)
	return nil
}

// appendExtras adds members to the end of a JSON object.
func appendExtras(object []byte, extras []Extra) []byte {
	for _, x := range extras {
		object = object[:len(object)-1] // its brace
		if len(object) > 1 {
			object = append(object, ',')
		}
		object = append(strconv.AppendQuote(object, x.Name), ':')
		object = append(append(object, x.JSON...), '}')
	}
	return object
}

// headers sets the members that travel as headers, and returns the status.
func (c *codec) headers(h http.Header, v reflect.Value, status int) (int, error) {
	for _, f := range c.outer {
		member := v.Field(f.index)
		if f.absent(member) {
			continue
		}
		if f.In == inStatus {
			status = int(reflect.Indirect(member).Int())
			continue
		}
		text, err := textOf(f.codec, f.Time, member)
		if err != nil || strings.ContainsAny(text, "\r\n\x00") {
			return 0, fmt.Errorf("awsapi: %s cannot be the header %s", f.Field, f.Wire)
		}
		h.Set(f.Wire, text)
	}
	return status, nil
}

// writePayload sends the member that is the whole body.
func (op *Operation) writePayload(w http.ResponseWriter, requestID string, status int, f *field, v reflect.Value) error {
	var body []byte
	switch f.codec.kind {
	case kBlob:
		body = v.Bytes()
	case kString:
		body = []byte(reflect.Indirect(v).String())
	case kStream:
		h := w.Header()
		h.Set("x-amzn-RequestId", requestID)
		if h.Get("Content-Type") == "" {
			h.Set("Content-Type", "application/octet-stream")
		}
		w.WriteHeader(status)
		if v.IsNil() {
			return nil
		}
		_, err := io.Copy(w, v.Interface().(io.Reader))
		return err
	default:
		var err error
		if body, err = appendValue(nil, f.codec, f.Time, v); err != nil {
			return fmt.Errorf("encode %s: %w", op.Name, err)
		}
		writeAnswer(w, op.Service.Protocol, requestID, status, body)
		return nil
	}
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "application/octet-stream")
	}
	writeAnswer(w, op.Service.Protocol, requestID, status, body)
	return nil
}

// textOf writes a scalar for a header or an XML element.
func textOf(c *codec, form timeForm, v reflect.Value) (string, error) {
	v = reflect.Indirect(v)
	switch c.kind {
	case kString:
		return v.String(), nil
	case kBool:
		return strconv.FormatBool(v.Bool()), nil
	case kInt:
		return strconv.FormatInt(v.Int(), 10), nil
	case kTime:
		if form == epochSeconds {
			b, err := appendEpoch(nil, v.Interface().(time.Time))
			return string(b), err
		}
		return formatTime(form, v.Interface().(time.Time))
	}
	// What is left is written as in a document: numbers bare, blobs in quotes.
	b, err := appendValue(nil, c, form, v)
	return strings.Trim(string(b), `"`), err
}
