// Package sts answers the one question that clients ask before all others: who
// am I. There is one user, and the access keys of this gateway are its own.
package sts

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/sallyport/sallyport/internal/controlplane"
)

// user is the name in the caller's ARN.
const user = "default"

// Register adds the operations of STS to s.
func Register(s *controlplane.Server) {
	account := s.Options().Account
	controlplane.Handle(s, "sts", func(_ context.Context, c *controlplane.Call, _ *sts.GetCallerIdentityInput) (*sts.GetCallerIdentityOutput, error) {
		return &sts.GetCallerIdentityOutput{
			Account: aws.String(account),
			Arn:     aws.String("arn:aws:iam::" + account + ":user/" + user),
			UserId:  aws.String(c.AccessKeyID),
		}, nil
	})
}
