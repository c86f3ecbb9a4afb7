package controls

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	opensearch "github.com/aws/aws-sdk-go-v2/service/opensearch/types"

	"github.com/sallyport/sallyport/internal/posture"
)

// Opensearch.3: the nodes of a search domain speak TLS with each other.
var opensearch3 = posture.Control{
	ID:          "Opensearch.3",
	Title:       "OpenSearch domains should encrypt data sent between nodes",
	Description: "A search domain passes when encryption between its nodes is on (`NodeToNodeEncryptionOptions.Enabled`).",
	Why: "HTTPS ends at the node that took the request. From there documents and queries travel to the other nodes, in clear unless this is on, " +
		"past whatever else shares the network.",
	Fix:           "Enable node-to-node encryption. It cannot be switched off again, and the domain is deployed anew for it.",
	FalsePositive: "None by AWS's letter: a domain of one node fails too.",
	Severity:      posture.Medium,
	Category:      inTransit,
	Related: []string{"NIST.800-53.r5 AC-4", "NIST.800-53.r5 SC-13", "NIST.800-53.r5 SC-23", "NIST.800-53.r5 SC-23(3)", "NIST.800-53.r5 SC-7(4)",
		"NIST.800-53.r5 SC-8", "NIST.800-53.r5 SC-8(1)", "NIST.800-53.r5 SC-8(2)"},
	Standards:  []string{posture.FSBP, posture.NIST80053, posture.ControlTower},
	ConfigRule: posture.ConfigRule{Name: "opensearch-node-to-node-encryption-check", Identifier: "OPENSEARCH_NODE_TO_NODE_ENCRYPTION_CHECK"},
	Schedule:   posture.ChangeTriggered,
	Resources:  []string{posture.TypeSearchDomain},
	Sources:    []string{sourceReference},

	Check: posture.On(func(r *posture.Resource, d *opensearch.DomainStatus, _ *posture.Params) posture.Verdict {
		m := posture.Member{Path: "NodeToNodeEncryptionOptions.Enabled"}
		if o := d.NodeToNodeEncryptionOptions; o != nil && o.Enabled != nil {
			m = posture.Seen(m.Path, *o.Enabled)
		}
		if o := d.NodeToNodeEncryptionOptions; o == nil || !aws.ToBool(o.Enabled) {
			return r.Fail("encryption between nodes is not on", m)
		}
		return r.Pass("encryption between nodes is on", m)
	}),
}
