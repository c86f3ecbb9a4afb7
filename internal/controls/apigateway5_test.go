package controls

import (
	apigateway "github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	apigatewayv2 "github.com/aws/aws-sdk-go-v2/service/apigatewayv2/types"

	"github.com/sallyport/sallyport/internal/posture"
)

// cache is a stage with settings by key: "c" caches, "e" encrypts.
func cache(cluster bool, pairs ...string) posture.Resource {
	s := apigateway.Stage{CacheClusterEnabled: cluster, MethodSettings: map[string]apigateway.MethodSetting{}}
	for i := 0; i < len(pairs); i += 2 {
		has := func(letter byte) bool {
			for j := range len(pairs[i+1]) {
				if pairs[i+1][j] == letter {
					return true
				}
			}
			return false
		}
		s.MethodSettings[pairs[i]] = apigateway.MethodSetting{CachingEnabled: has('c'), CacheDataEncrypted: has('e')}
	}
	return restStage(s)
}

var apiGateway5Cases = []testCase{
	{name: "nothing cached", r: cache(false), want: posture.Passed, reason: "no method caches"},
	{name: "cached and encrypted", r: cache(true, "*/*", "ce"), want: posture.Passed},
	{name: "cached in clear", r: cache(true, "*/*", "c"), want: posture.Failed, reason: "methodSettings[*/*].cachingEnabled is true, methodSettings[*/*].cacheDataEncrypted is false"},
	{name: "one override in clear", r: cache(true, "*/*", "ce", "~1pets/GET", "c"), want: posture.Failed, reason: "~1pets/GET"},
	{name: "in clear but not cached", r: cache(true, "*/*", "ce", "~1pets/POST", ""), want: posture.Passed},
	{name: "cluster off", r: cache(false, "*/*", "c"), want: posture.Passed, reason: "cluster is off", confidence: posture.Inferred},
	{name: "cluster not known", r: without(inTemplate(cache(false, "*/*", "c")), "cacheClusterEnabled"), want: posture.Failed, confidence: posture.Weak, note: "cluster is on is not known"},
	{name: "cluster not known, encrypted", r: without(inTemplate(cache(false, "*/*", "ce")), "cacheClusterEnabled"), want: posture.Passed},

	{name: "encryption not known", r: without(inTemplate(cache(true, "*/*", "c")), "methodSettings[*/*].cacheDataEncrypted"), want: posture.Unknown},
	{name: "caching not known, in clear", r: without(inTemplate(cache(true, "*/*", "")), "methodSettings[*/*].cachingEnabled"), want: posture.Unknown},
	{name: "caching not known, encrypted", r: without(inTemplate(cache(true, "*/*", "e")), "methodSettings[*/*].cachingEnabled"), want: posture.Passed},
	{name: "no setting known", r: without(inTemplate(cache(true)), "methodSettings"), want: posture.Unknown},
	{name: "no setting known, cluster off", r: without(inTemplate(cache(false)), "methodSettings"), want: posture.Passed, reason: "cluster is off", confidence: posture.Inferred},

	{name: "template, an override inherits both", r: inTemplate(cache(true, "*/*", "ce", "~1pets/GET", ""),
		"methodSettings[~1pets/GET].cachingEnabled", "methodSettings[~1pets/GET].cacheDataEncrypted"), want: posture.Passed},
	{name: "template, an override inherits caching", r: inTemplate(cache(true, "*/*", "ce", "~1pets/GET", ""), "methodSettings[~1pets/GET].cachingEnabled"), want: posture.Failed},
	{name: "template, left out everywhere is off", r: inTemplate(cache(true, "*/*", "c"), "methodSettings[*/*].cacheDataEncrypted"), want: posture.Failed, reason: "cacheDataEncrypted is absent"},

	{name: "proactive, cluster off", r: inTemplate(cache(false, "*/*", "c")), mode: posture.Proactive, want: posture.NotApplicable},
	{name: "proactive, cluster not known", r: without(inTemplate(cache(false, "*/*", "c")), "cacheClusterEnabled"), mode: posture.Proactive, want: posture.Unknown},
	{name: "proactive, encrypted", r: inTemplate(cache(true, "*/*", "e")), mode: posture.Proactive, want: posture.Passed},
	{name: "proactive, caching is not read", r: inTemplate(cache(true, "*/*", "")), mode: posture.Proactive, want: posture.Failed},
	{name: "proactive, nothing for every method", r: inTemplate(cache(true, "~1pets/GET", "ce")), mode: posture.Proactive, want: posture.Failed},
	{name: "proactive, another leaves it out", r: inTemplate(cache(true, "*/*", "e", "~1pets/GET", ""), "methodSettings[~1pets/GET].cacheDataEncrypted"), mode: posture.Proactive, want: posture.Passed},
	{name: "proactive, another contradicts", r: inTemplate(cache(true, "*/*", "e", "~1pets/GET", "")), mode: posture.Proactive, want: posture.Failed},

	{name: "stored, not in effect", r: stored(cache(true, "*/*", "ce"), "methodSettings[].cacheDataEncrypted"), want: posture.Unknown, reason: "stored, not in effect"},
	{name: "stored, nothing cached", r: stored(cache(true, "*/*", ""), "methodSettings[].cacheDataEncrypted"), want: posture.Passed},
	{name: "stored, in clear", r: stored(cache(true, "*/*", "c"), "methodSettings[].cacheDataEncrypted"), want: posture.Failed},
	{name: "WebSocket stages are not in scope", r: stageV2(webSocketAPI, apigatewayv2.Stage{}), want: posture.NotApplicable},
}
