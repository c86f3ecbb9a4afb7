package securityhub

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	apigateway "github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/aws/aws-sdk-go-v2/service/securityhub"
	"github.com/aws/aws-sdk-go-v2/service/securityhub/types"

	"github.com/sallyport/sallyport/internal/auditor"
	"github.com/sallyport/sallyport/internal/awsapi"
	"github.com/sallyport/sallyport/internal/controlplane"
	"github.com/sallyport/sallyport/internal/resource"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/store/bolt"
)

// One call against 10,000 stages with five findings each.
func BenchmarkGetFindings(b *testing.B) {
	st, err := bolt.Open(filepath.Join(b.TempDir(), "db"), bolt.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer st.Close()
	for from := 0; from < 10_000; from += 500 {
		var c store.Change
		for i := from; i < from+500; i++ {
			value, err := awsapi.Marshal(&apigateway.Stage{StageName: aws.String("prod")})
			if err != nil {
				b.Fatal(err)
			}
			c.Puts = append(c.Puts, store.Put{Key: resource.StageKey(fmt.Sprintf("api%d", i), "prod"), Value: value})
		}
		if _, err := st.Commit(b.Context(), c); err != nil {
			b.Fatal(err)
		}
	}
	a, err := auditor.Open(b.Context(), auditor.Options{Store: st, Region: "us-east-1", Account: "000000000000"})
	if err != nil {
		b.Fatal(err)
	}
	s := &service{controlplane.New(controlplane.Options{}), a}
	equals := func(v string) []types.StringFilter {
		return []types.StringFilter{{Value: &v, Comparison: types.StringFilterComparisonEquals}}
	}
	for _, row := range []struct {
		name string
		in   securityhub.GetFindingsInput
	}{
		{"first page", securityhub.GetFindingsInput{}},
		{"one resource", securityhub.GetFindingsInput{Filters: &types.AwsSecurityFindingFilters{ResourceId: equals("arn:aws:apigateway:us-east-1::/restapis/api77/stages/prod")}}},
		{"none by title", securityhub.GetFindingsInput{Filters: &types.AwsSecurityFindingFilters{Title: equals("nothing")}}},
		{"sorted", securityhub.GetFindingsInput{SortCriteria: []types.SortCriterion{{Field: aws.String("SeverityLabel"), SortOrder: types.SortOrderDescending}}}},
	} {
		b.Run(row.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := s.getFindings(b.Context(), nil, &row.in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
