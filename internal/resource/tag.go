package resource

import (
	"strings"
	"unicode/utf8"
)

// Limits of tags, in characters. Source: API Gateway guide, tag restrictions.
const (
	maxTags     = 50
	maxTagKey   = 128
	maxTagValue = 256
)

// ValidTags judges the tags that a document would have: at most 50, keys of 1
// to 128 characters that do not begin with "aws:" in any case, values of at
// most 256, neither with control characters.
func ValidTags(tags map[string]string) error {
	var p problems
	p.tags(tags)
	return p.err()
}

func (p *problems) tags(tags map[string]string) {
	if len(tags) > maxTags {
		p.addf("tags: %d are too many; the limit is %d", len(tags), maxTags)
		return
	}
	for _, k := range sortedKeys(tags) {
		v := tags[k]
		switch {
		case k == "":
			p.addf("tags: a key may not be empty")
		case !utf8.ValidString(k) || !utf8.ValidString(v) || hasControl(k) || hasControl(v):
			p.addf("tags: key or value of %q holds characters that are not allowed", k)
		case utf8.RuneCountInString(k) > maxTagKey:
			p.addf("tags: key %q is longer than %d characters", k, maxTagKey)
		case strings.HasPrefix(strings.ToLower(k), "aws:"):
			p.addf("tags: key %q begins with aws:, which is reserved", k)
		case utf8.RuneCountInString(v) > maxTagValue:
			p.addf("tags: the value of %q is longer than %d characters", k, maxTagValue)
		}
	}
}

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f })
}
