package apigateway

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/apigateway"

	"github.com/sallyport/sallyport/internal/controlplane"
	"github.com/sallyport/sallyport/internal/resource"
)

// account reads the account's settings, which are there from the first day.
func (s *service) account(read reader) (*apigateway.GetAccountOutput, error) {
	var stored apigateway.GetAccountOutput
	ok, err := read(resource.KeyAccount, &stored)
	if err == nil && !ok {
		return resource.NewAccount(), nil
	}
	return &stored, err
}

func (s *service) getAccount(ctx context.Context, _ *controlplane.Call, _ *apigateway.GetAccountInput) (*apigateway.GetAccountOutput, error) {
	return s.account(s.reader(ctx))
}

func (s *service) updateAccount(ctx context.Context, _ *controlplane.Call, in *apigateway.UpdateAccountInput) (*apigateway.UpdateAccountOutput, error) {
	var after *apigateway.GetAccountOutput
	_, err := s.Change(ctx, func(c *controlplane.Change) error {
		before, err := s.account(c.Get)
		if err != nil {
			return err
		}
		if after, err = resource.UpdateAccount(before, in.PatchOperations); err != nil {
			return err
		}
		write(c, resource.KeyAccount, before, after)
		return nil
	})
	return answer[apigateway.UpdateAccountOutput](after, err)
}
