// Package controls holds the controls of the auditor, one file each: AWS
// Security Hub's for API Gateway, and those for search domains and
// certificates that stand beside them. Each decides as AWS does; where AWS's
// list and the contents of a policy disagree, AWS's list decides and a note
// says so.
package controls

import (
	"strings"

	"github.com/sallyport/sallyport/internal/posture"
)

// All lists every control, in the order of their ids. A control is added here
// and nowhere else.
var All = []*posture.Control{
	&apiGateway1,
	&apiGateway2,
	&apiGateway3,
	&apiGateway4,
	&apiGateway5,
	&apiGateway8,
	&apiGateway9,
	&apiGateway10,
	&apiGateway11,
	&opensearch3,
	&opensearch8,
	&acm1,
	&acm2,
}

// Lookup finds a control by its id, in any case: APIGateway.2, apigateway.2.
func Lookup(id string) (*posture.Control, bool) {
	for _, c := range All {
		if strings.EqualFold(c.ID, id) {
			return c, true
		}
	}
	return nil, false
}

// Categories, as Security Hub writes them for each control: the spelling
// differs between controls.
const (
	logging         = "Identify > Logging"
	inTransit       = "Protect > Data Protection > Encryption of data-in-transit"
	sourceReference = "Security Hub user guide, control reference, August 2026"
)

// requirements that several controls list.
var (
	auditTrail = []string{
		"NIST.800-53.r5 AC-4(26)", "NIST.800-53.r5 AU-10", "NIST.800-53.r5 AU-12", "NIST.800-53.r5 AU-2", "NIST.800-53.r5 AU-3",
		"NIST.800-53.r5 AU-6(3)", "NIST.800-53.r5 AU-6(4)", "NIST.800-53.r5 CA-7", "NIST.800-53.r5 SC-7(9)", "NIST.800-53.r5 SI-7(8)",
	}
	protectedTransit = []string{
		"NIST.800-53.r5 AC-17(2)", "NIST.800-53.r5 AC-4", "NIST.800-53.r5 IA-5(1)", "NIST.800-53.r5 SC-12(3)", "NIST.800-53.r5 SC-13",
		"NIST.800-53.r5 SC-23", "NIST.800-53.r5 SC-23(3)", "NIST.800-53.r5 SC-7(4)", "NIST.800-53.r5 SC-8", "NIST.800-53.r5 SC-8(1)",
		"NIST.800-53.r5 SC-8(2)", "NIST.800-53.r5 SI-7(6)",
	}
	transitOfRule = []string{ // of the Config rules under APIGateway.10 and .11
		"NIST.800-53.r5 SC-7(4)", "NIST.800-53.r5 SC-8", "NIST.800-53.r5 SC-8(1)", "NIST.800-53.r5 SC-8(2)", "NIST.800-53.r5 SC-13",
		"NIST.800-53.r5 SC-23", "NIST.800-53.r5 SC-23(3)",
	}
)
