package controls

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	apigateway "github.com/aws/aws-sdk-go-v2/service/apigateway/types"

	"github.com/sallyport/sallyport/internal/posture"
)

// everyMethod is the key of the setting that holds for methods without one of
// their own.
const everyMethod = "*/*"

// settings reads a REST stage's methodSettings.
//
// A setting that a template leaves out is the one of */*: the service copies
// that when it makes the entry. An entry of the service's own answer holds
// every member; one that is not there is off.
type settings struct {
	r       *posture.Resource
	entries map[string]apigateway.MethodSetting
	keys    []string // sorted
}

func settingsOf(r *posture.Resource, s *apigateway.Stage) settings {
	keys := make([]string, 0, len(s.MethodSettings))
	for k := range s.MethodSettings {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return settings{r, s.MethodSettings, keys}
}

// has reports whether there is a setting for every method.
func (s settings) has() bool {
	_, ok := s.entries[everyMethod]
	return ok
}

// whole is the member that stands for all entries.
func (s settings) whole() posture.Member {
	return posture.Member{Path: "methodSettings", Value: strings.Join(s.keys, ", ")}
}

// level is the logging level that binds the methods of an entry; the path says
// which entry it stands in.
func (s settings) level(key string) posture.Member {
	e := s.entries[key]
	m := posture.Member{Path: posture.Entry("methodSettings", key, "loggingLevel"), Value: aws.ToString(e.LoggingLevel)}
	if e.LoggingLevel == nil && s.inherits(key, "loggingLevel", m.Path) {
		return s.level(everyMethod)
	}
	return m
}

// caching and encrypted are the members for the cache that bind the methods of
// an entry.
func (s settings) caching(key string) posture.Member {
	return s.flag(key, "cachingEnabled", func(e apigateway.MethodSetting) bool { return e.CachingEnabled })
}

func (s settings) encrypted(key string) posture.Member {
	return s.flag(key, "cacheDataEncrypted", func(e apigateway.MethodSetting) bool { return e.CacheDataEncrypted })
}

func (s settings) flag(key, name string, of func(apigateway.MethodSetting) bool) posture.Member {
	m := posture.Seen(posture.Entry("methodSettings", key, name), of(s.entries[key]))
	if s.r.LeftOut(m.Path) {
		if s.inherits(key, name, m.Path) {
			return s.flag(everyMethod, name, of)
		}
		m.Value = ""
	}
	return m
}

// inherits reports whether the entry takes the member from */*. Only templates
// leave members out.
func (s settings) inherits(key, name, path string) bool {
	if key == everyMethod || !s.has() || s.r.Source != posture.File {
		return false
	}
	_, unresolved := s.r.Unresolved(path)
	return !unresolved
}

// describe names entries for people, at most three of them.
func describe(members []posture.Member) string {
	var b strings.Builder
	for i, m := range members {
		switch {
		case i == 3:
			b.WriteString(", ...")
			return b.String()
		case i > 0:
			b.WriteString(", ")
		}
		b.WriteString(m.Path)
		if m.Value == "" {
			b.WriteString(" is absent")
			continue
		}
		b.WriteString(" is ")
		b.WriteString(m.Value)
	}
	return b.String()
}
