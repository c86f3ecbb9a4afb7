package controls

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	apigateway "github.com/aws/aws-sdk-go-v2/service/apigateway/types"

	"github.com/sallyport/sallyport/internal/posture"
)

// A choice is a member of one of two method settings, or a flag of the stage,
// that a template may set to some values, leave out, or set to what cannot be
// resolved.
type choice struct {
	path   string
	values []string // "absent" and "?" among them, "none" for an entry that is not there
}

// world is a template's stage with one value for each choice.
type world map[string]string

// stage builds what the template source would hand over.
func (w world) stage() *posture.Resource {
	s := apigateway.Stage{MethodSettings: map[string]apigateway.MethodSetting{}}
	r := &posture.Resource{Type: posture.TypeStage, Source: posture.File, Doc: &s, Absent: map[string]bool{}, Unknown: map[string]string{}}
	mark := func(path, value string) (set bool) {
		switch value {
		case "absent":
			r.Absent[path] = true
		case "?":
			r.Unknown[path] = "of a test"
		default:
			return true
		}
		return false
	}
	for _, key := range []string{"*/*", "a/GET"} {
		if w[key] == "none" {
			continue
		}
		var m apigateway.MethodSetting
		path := posture.Entry("methodSettings", key, "loggingLevel")
		if level, ok := w[path]; ok && mark(path, level) {
			m.LoggingLevel = aws.String(level)
		}
		path = posture.Entry("methodSettings", key, "cachingEnabled")
		m.CachingEnabled = mark(path, w[path]) && w[path] == "true"
		path = posture.Entry("methodSettings", key, "cacheDataEncrypted")
		m.CacheDataEncrypted = mark(path, w[path]) && w[path] == "true"
		s.MethodSettings[key] = m
	}
	s.CacheClusterEnabled = mark("cacheClusterEnabled", w["cacheClusterEnabled"]) && w["cacheClusterEnabled"] == "true"
	return r
}

// each runs f for every world of the choices.
func each(choices []choice, f func(world)) {
	w := world{}
	var walk func(int)
	walk = func(i int) {
		if i == len(choices) {
			f(w)
			return
		}
		for _, v := range choices[i].values {
			w[choices[i].path] = v
			walk(i + 1)
		}
	}
	walk(0)
}

// resolutions runs f for every world that w may turn out to be.
func (w world) resolutions(choices []choice, f func(world)) {
	possible := make([]choice, len(choices))
	for i, c := range choices {
		possible[i] = choice{c.path, []string{w[c.path]}}
		if w[c.path] == "?" {
			possible[i].values = nil
			for _, v := range c.values {
				if v != "?" {
					possible[i].values = append(possible[i].values, v)
				}
			}
		}
	}
	each(possible, f)
}

var (
	everyLevel     = "methodSettings[*/*].loggingLevel"
	oneLevel       = "methodSettings[a/GET].loggingLevel"
	everyCaching   = "methodSettings[*/*].cachingEnabled"
	oneCaching     = "methodSettings[a/GET].cachingEnabled"
	everyEncrypted = "methodSettings[*/*].cacheDataEncrypted"
	oneEncrypted   = "methodSettings[a/GET].cacheDataEncrypted"

	entry = []string{"none", "there"}
	flag3 = []string{"true", "false", "absent", "?"}
)

// effective is a member as the service would hold it after deployment: what an
// override leaves out it takes from */*.
func (w world) effective(every, one string) (values []string) {
	if w["*/*"] != "none" {
		values = append(values, w[every])
	}
	if w["a/GET"] != "none" {
		v := w[one]
		if v == "absent" && w["*/*"] != "none" {
			v = w[every]
		}
		values = append(values, v)
	}
	return values
}

// loggingOracle is APIGateway.1 in AWS's words, for worlds without secrets.
func loggingOracle(w world, mode posture.Mode) posture.Status {
	levels := w.effective(everyLevel, oneLevel)
	good := len(levels) > 0
	for _, l := range levels {
		good = good && (l == "ERROR" || l == "INFO")
	}
	if mode == posture.Proactive && w["*/*"] == "none" {
		good = false
	}
	if good {
		return posture.Passed
	}
	return posture.Failed
}

// cacheOracle is APIGateway.5 in AWS's words.
func cacheOracle(w world, mode posture.Mode) posture.Status {
	cluster := w["cacheClusterEnabled"] == "true"
	if mode == posture.Proactive {
		switch {
		case !cluster:
			return posture.NotApplicable
		case w["*/*"] == "none", w[everyEncrypted] != "true", w["a/GET"] != "none" && w[oneEncrypted] == "false":
			return posture.Failed
		}
		return posture.Passed
	}
	caching, encrypted := w.effective(everyCaching, oneCaching), w.effective(everyEncrypted, oneEncrypted)
	for i := range caching {
		if cluster && caching[i] == "true" && encrypted[i] != "true" {
			return posture.Failed
		}
	}
	return posture.Passed
}

// Where everything is known the control says what AWS would. Where something
// is not, it decides if, and only if, every way it may turn out is decided
// alike.
func TestEveryWorld(t *testing.T) {
	for _, c := range []struct {
		control *posture.Control
		choices []choice
		oracle  func(world, posture.Mode) posture.Status
	}{
		{&apiGateway1, []choice{{"*/*", entry}, {"a/GET", entry},
			{everyLevel, []string{"OFF", "ERROR", "INFO", "absent", "?"}}, {oneLevel, []string{"OFF", "ERROR", "INFO", "absent", "?"}}}, loggingOracle},
		{&apiGateway5, []choice{{"*/*", entry}, {"a/GET", entry}, {"cacheClusterEnabled", []string{"true", "false", "?"}},
			{everyCaching, flag3}, {everyEncrypted, flag3}, {oneCaching, flag3}, {oneEncrypted, flag3}}, cacheOracle},
	} {
		for _, mode := range []posture.Mode{posture.Live, posture.Proactive} {
			p, err := c.control.Params(nil, "", mode, now)
			if err != nil {
				t.Fatal(err)
			}
			each(c.choices, func(w world) {
				v := c.control.Judge(w.stage(), p)
				outcomes := map[posture.Status]bool{}
				w.resolutions(c.choices, func(real world) { outcomes[c.oracle(real, mode)] = true })
				// A cluster that is not known: what the methods say decides, by AWS's guide.
				exempt := c.control == &apiGateway5 && mode == posture.Live && w["cacheClusterEnabled"] == "?"
				switch {
				case v.Status == posture.Unknown:
					if len(outcomes) == 1 {
						t.Errorf("%s, %s, %s: %s; it can only turn out %s", c.control.ID, mode, fmt.Sprint(w), v.Reason, fmt.Sprint(outcomes))
					}
				case exempt && v.Status == posture.Failed && outcomes[posture.Failed]:
				case len(outcomes) != 1 || !outcomes[v.Status]:
					t.Errorf("%s, %s, %s: %s: %s; it may turn out %s", c.control.ID, mode, fmt.Sprint(w), v.Status, v.Reason, fmt.Sprint(outcomes))
				}
			})
		}
	}
}
