package template

import (
	"cmp"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/sallyport/sallyport/internal/posture"
)

// A draft fills a resource's document member by member, and notes what is not
// known or left out. Paths are the wire's; see [posture.Resource.Unknown].
type draft struct{ *posture.Resource }

func (d draft) unknown(path, reason string) {
	if d.Unknown == nil {
		d.Unknown = map[string]string{}
	}
	if _, has := d.Unknown[path]; !has {
		d.Unknown[path] = cmp.Or(reason, "its value could not be resolved")
	}
}

func (d draft) leftOut(path string) {
	if d.Absent == nil {
		d.Absent = map[string]bool{}
	}
	d.Absent[path] = true
}

func (d draft) remark(path, text string) {
	if d.Remarks == nil {
		d.Remarks = map[string]string{}
	}
	d.Remarks[path] = text
}

// text is a text of which it matters whether it is there and little else: what
// the service makes of a resource's identity will do. nil: absent or not known.
func (d draft) text(path string, v value) *string {
	switch v.kind {
	case absent:
		return nil
	case scalar:
		return &v.text
	case unknown:
		d.unknown(path, v.reason)
	default:
		d.unknown(path, "it is not a text")
	}
	return nil
}

// choice is a word that decides by what it is: a policy, a level, a type.
func (d draft) choice(path string, v value) string {
	if v.opaque {
		d.unknown(path, v.reason)
		return ""
	}
	return aws.ToString(d.text(path, v))
}

func (d draft) flag(path string, v value) bool {
	switch {
	case v.kind == absent:
		d.leftOut(path)
	case v.kind == unknown || v.opaque:
		d.unknown(path, v.reason)
	case v.isTrue():
		return true
	case !v.isFalse():
		d.unknown(path, "it is neither true nor false")
	}
	return false
}

// optionalFlag is nil where it is absent or not known.
func (d draft) optionalFlag(path string, v value) *bool {
	if v.kind == absent {
		return nil
	}
	b := d.flag(path, v)
	if _, not := d.Unknown[path]; not {
		return nil
	}
	return &b
}

// has reports whether an object is there; one that is not known is not.
func (d draft) has(path string, v value) bool {
	switch v.kind {
	case object:
		return true
	case absent:
	case unknown:
		d.unknown(path, v.reason)
	default:
		d.unknown(path, "it is not an object")
	}
	return false
}

// list gives the items of a list that is known whole.
func (d draft) list(path string, v value) []value {
	switch v.kind {
	case absent:
	case list:
		items, all := v.pick()
		if all {
			return items
		}
		for _, i := range v.items {
			if i.kind == unknown {
				d.unknown(path, i.reason)
			}
		}
	case unknown:
		d.unknown(path, v.reason)
	default:
		d.unknown(path, "it is not a list")
	}
	return nil
}

// words is a list of words, all of which are known.
func (d draft) words(path string, v value) []string {
	var words []string
	for _, i := range d.list(path, v) {
		words = append(words, d.choice(path, i))
	}
	if _, not := d.Unknown[path]; not {
		return nil
	}
	return words
}

func (d draft) tags(v value) {
	for _, t := range v.items {
		if key, text := t.get("Key"), t.get("Value"); key.known() && text.known() {
			d.tag(key.text, text.text)
		}
	}
	for _, key := range v.keys {
		if text := v.members[key]; text.known() {
			d.tag(key, text.text)
		}
	}
}

func (d draft) tag(key, text string) {
	if d.Tags == nil {
		d.Tags = map[string]string{}
	}
	d.Tags[key] = text
}
