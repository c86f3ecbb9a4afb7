// Package configservice answers the operations of AWS Config that tell what
// its managed rules say of resources: one rule behind each control, and its
// verdicts from the auditor.
package configservice

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	"github.com/aws/aws-sdk-go-v2/service/configservice/types"

	"github.com/sallyport/sallyport/internal/auditor"
	"github.com/sallyport/sallyport/internal/awsapi"
	"github.com/sallyport/sallyport/internal/controlplane"
	"github.com/sallyport/sallyport/internal/resource"
)

// name is the service's in the wire tables.
const name = "configservice"

type service struct {
	*controlplane.Server
	audit *auditor.Auditor
}

// Register adds the operations of AWS Config to server. The auditor may be nil
// for a server that only lists its operations.
func Register(server *controlplane.Server, audit *auditor.Auditor) {
	s := &service{server, audit}

	controlplane.Handle(server, name, s.describeConfigRules)
	controlplane.Handle(server, name, s.describeConfigRuleEvaluationStatus)
	controlplane.Handle(server, name, s.startConfigRulesEvaluation)

	controlplane.Handle(server, name, s.describeComplianceByConfigRule)
	controlplane.Handle(server, name, s.describeComplianceByResource)
	controlplane.Handle(server, name, s.getComplianceDetailsByConfigRule)
	controlplane.Handle(server, name, s.getComplianceDetailsByResource)
}

// Bounds. Source: AWS Config API reference.
const (
	maxRules     = 25
	maxTypes     = 3
	usualPage    = 10
	maxPage      = 100
	maxRulesPage = 50
	maxToken     = 8 << 10
)

// invalid is a parameter that the service does not take.
func invalid(format string, args ...any) error {
	return resource.Errorf(resource.BadRequest, format, args...)
}

// badToken is a token that is none of ours.
func badToken() error {
	return &awsapi.Error{Code: "InvalidNextTokenException", Message: "The specified nextToken for pagination is not valid", Status: http.StatusBadRequest}
}

// limit is how many entries a page has; 0 is the usual number.
func limit(given int32, usual, most int) (int, error) {
	switch {
	case given == 0:
		return usual, nil
	case given < 0 || int(given) > most:
		return 0, invalid("The limit must be from 0 to %d.", most)
	}
	return int(given), nil
}

// pageOf is a page of n entries of a list, which begins after the entry that
// the token names: entries are in the order of their keys, so one that is gone
// leaves the place. of tells lists apart.
func pageOf[T any](all []T, key func(T) string, of string, n int, token *string) ([]T, *string, error) {
	if aws.ToString(token) != "" {
		var last []string
		if len(*token) > maxToken {
			return nil, nil, badToken()
		}
		text, err := base64.RawURLEncoding.DecodeString(*token)
		if err != nil || json.Unmarshal(text, &last) != nil || len(last) != 2 || last[0] != of {
			return nil, nil, badToken()
		}
		for len(all) > 0 && key(all[0]) <= last[1] {
			all = all[1:]
		}
	}
	if len(all) <= n {
		return all, nil, nil
	}
	text, err := json.Marshal([]string{of, key(all[n-1])})
	if err != nil {
		return nil, nil, err
	}
	return all[:n], aws.String(base64.RawURLEncoding.EncodeToString(text)), nil
}

// clip cuts a text to n characters.
func clip(s string, n int) string {
	if runes := []rune(s); len(runes) > n {
		return string(runes[:n-1]) + "…"
	}
	return s
}

// startConfigRulesEvaluation judges at once and answers when that is done; AWS
// answers first.
func (s *service) startConfigRulesEvaluation(ctx context.Context, _ *controlplane.Call, in *configservice.StartConfigRulesEvaluationInput) (*configservice.StartConfigRulesEvaluationOutput, error) {
	if len(in.ConfigRuleNames) == 0 {
		return nil, invalid("At least one name of a Config rule is needed.")
	}
	if _, err := s.rules(in.ConfigRuleNames); err != nil {
		return nil, err
	}
	if err := s.audit.Evaluate(ctx); err != nil {
		return nil, err
	}
	return &configservice.StartConfigRulesEvaluationOutput{}, nil
}

// asked reports whether a compliance type is among those asked for; none asked
// for are all.
func asked(wanted []types.ComplianceType, t types.ComplianceType) bool {
	for _, w := range wanted {
		if w == t {
			return true
		}
	}
	return len(wanted) == 0
}

// typesOf is a text of the compliance types, to tell lists apart.
func typesOf(wanted []types.ComplianceType) string {
	var b strings.Builder
	for _, w := range wanted {
		b.WriteString(string(w) + ",")
	}
	return b.String()
}
