package controls

import (
	apigateway "github.com/aws/aws-sdk-go-v2/service/apigateway/types"

	"github.com/sallyport/sallyport/internal/posture"
)

// APIGateway.5: what a REST stage caches is encrypted at rest.
var apiGateway5 = posture.Control{
	ID:    "APIGateway.5",
	Title: "API Gateway REST API cache data should be encrypted at rest",
	Description: "A REST stage passes when each of its method settings that caches (`cachingEnabled`) also encrypts what it caches (`cacheDataEncrypted`). " +
		"Methods that do not cache are not looked at, so a stage without a cache passes.",
	Why: "The cache holds whole responses, with whatever personal data they carry, on disks that the API's own access rules do not cover.",
	Fix: "Replace `/*/*/caching/dataEncrypted` with `true`, and the same for each override that caches. The cache is flushed or made anew by it: " +
		"expect the backends to see all the traffic for a while.",
	FalsePositive: "A stage whose cache cluster is off caches nothing, whatever its method settings say; it passes (inferred: AWS's text speaks of stages that have a cache). " +
		"Do not compare with the Config rule `api-gw-cache-enabled-and-encrypted`, which also fails what does not cache.",
	Severity: posture.Medium,
	Category: "Protect > Data protection > Encryption of data at rest",
	Related: []string{"NIST.800-53.r5 CA-9(1)", "NIST.800-53.r5 CM-3(6)", "NIST.800-53.r5 SC-13", "NIST.800-53.r5 SC-28", "NIST.800-53.r5 SC-28(1)",
		"NIST.800-53.r5 SC-7(10)", "NIST.800-53.r5 SI-7(6)"},
	Standards:  []string{posture.FSBP, posture.NIST80053, posture.ControlTower},
	ConfigRule: posture.ConfigRule{Name: "api-gw-cache-encrypted"}, // Security Hub's own
	Schedule:   posture.ChangeTriggered,
	Resources:  []string{posture.TypeStage},
	Proactive: &posture.ProactiveForm{ID: "CT.APIGATEWAY.PR.3",
		Text: "Only stages whose cache cluster is on are judged. They need the setting for every method, with encryption on; other settings may leave it out, " +
			"but not contradict it. Whether a method caches is not read."},
	Sources: []string{sourceReference},

	Check: posture.On(func(r *posture.Resource, stage *apigateway.Stage, p *posture.Params) posture.Verdict {
		s := settingsOf(r, stage)
		cluster := posture.Seen("cacheClusterEnabled", stage.CacheClusterEnabled)
		if p.Mode == posture.Proactive {
			return cacheBeforeDeployment(r, s, cluster)
		}
		// Each setting either encrypts, or does not cache, or fails; what
		// cannot be resolved is left to Pass.
		var plain []posture.Member
		on := []posture.Member{s.whole()}
		for _, key := range s.keys {
			caching, encrypted := s.caching(key), s.encrypted(key)
			_, maybe := r.Unresolved(caching.Path)
			_, either := r.Unresolved(encrypted.Path)
			switch {
			case !maybe && caching.Value != "true":
				on = append(on, caching)
			case !either && encrypted.Value == "true":
				on = append(on, encrypted)
			case !maybe && !either:
				plain = append(plain, caching, encrypted)
			default:
				on = append(on, caching, encrypted)
			}
		}
		_, unsure := r.Unresolved(cluster.Path)
		off := !unsure && !stage.CacheClusterEnabled
		if len(plain) == 0 {
			reason := "every method that caches encrypts what it caches"
			if len(s.keys) == 0 {
				reason = "no method caches"
			}
			if v := r.Pass(reason, on...); v.Status == posture.Passed || !off {
				return v
			}
		}
		if off {
			return r.Pass("the cache cluster is off: nothing is cached", cluster).As(posture.Inferred)
		}
		v := r.Fail(describe(plain), plain...)
		if unsure {
			v = v.As(posture.Weak).Note("Whether the cache cluster is on is not known; the method settings decide.")
		}
		return v
	}),
}

// cacheBeforeDeployment is the proactive form.
func cacheBeforeDeployment(r *posture.Resource, s settings, cluster posture.Member) posture.Verdict {
	if _, unresolved := r.Unresolved(cluster.Path); unresolved || cluster.Value != "true" {
		return r.Skip("the cache cluster is off", cluster)
	}
	if !s.has() {
		return r.Fail("there is no setting for every method, "+everyMethod, s.whole())
	}
	var good, bad []posture.Member
	for _, key := range s.keys {
		path := posture.Entry("methodSettings", key, "cacheDataEncrypted")
		_, unresolved := r.Unresolved(path)
		if key != everyMethod && !unresolved && r.LeftOut(path) {
			continue // it may leave it out
		}
		if m := s.encrypted(key); unresolved || m.Value == "true" {
			good = append(good, m)
		} else {
			bad = append(bad, m)
		}
	}
	if len(bad) > 0 {
		return r.Fail(describe(bad), bad...)
	}
	return r.Pass("every method setting encrypts the cache", append(good, cluster)...)
}
