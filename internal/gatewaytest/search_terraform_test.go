package gatewaytest

import (
	"os"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/opensearch"
	"github.com/aws/aws-sdk-go-v2/service/opensearch/types"
)

// Terraform takes a search domain over and sees no difference to what it would
// make, before and after its policy changes elsewhere; and it does see one
// that is there. (To make or to delete one itself the provider sleeps for ten
// minutes before it looks, whatever the service answers.)
func TestTerraformSearch(t *testing.T) {
	w := Start(t)
	tf := newTerraform(t, w, "testdata/terraform-search")
	soak := os.Getenv("SALLYPORT_SOAK") != ""
	_, err := w.search().CreateDomain(t.Context(), &opensearch.CreateDomainInput{
		DomainName: aws.String("logs-prod"), EngineVersion: aws.String("OpenSearch_2.19"),
		ClusterConfig:               &types.ClusterConfig{InstanceType: types.OpenSearchPartitionInstanceTypeR5LargeSearch, InstanceCount: aws.Int32(1)},
		EBSOptions:                  &types.EBSOptions{EBSEnabled: aws.Bool(true), VolumeSize: aws.Int32(10)},
		NodeToNodeEncryptionOptions: &types.NodeToNodeEncryptionOptions{Enabled: aws.Bool(true)},
		DomainEndpointOptions:       &types.DomainEndpointOptions{EnforceHTTPS: aws.Bool(false), TLSSecurityPolicy: "Policy-Min-TLS-1-0-2019-07"},
		TagList:                     []types.Tag{{Key: aws.String("team"), Value: aws.String("search")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	before, after := []string{"-var=policy=Policy-Min-TLS-1-0-2019-07", "-var=https=false"}, []string{"-var=policy=Policy-Min-TLS-1-2-PFS-2023-10", "-var=https=true"}
	plan := func(want int, vars []string) {
		t.Helper()
		tf.run(t, want, append([]string{"plan", "-detailed-exitcode", "-input=false"}, vars...)...)
	}
	tf.run(t, 0, append(append([]string{"import", "-input=false"}, before...), "aws_opensearch_domain.logs", "logs-prod")...)
	if soak { // a plan takes ten seconds
		plan(0, before)
		plan(2, after)
	}
	if _, err := w.search().UpdateDomainConfig(t.Context(), &opensearch.UpdateDomainConfigInput{DomainName: aws.String("logs-prod"),
		DomainEndpointOptions: &types.DomainEndpointOptions{EnforceHTTPS: aws.Bool(true), TLSSecurityPolicy: "Policy-Min-TLS-1-2-PFS-2023-10"}}); err != nil {
		t.Fatal(err)
	}
	plan(0, after)
	if soak {
		plan(2, before)
	}
}
