package apigateway

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	acmtypes "github.com/aws/aws-sdk-go-v2/service/acm/types"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"

	"github.com/sallyport/sallyport/internal/controlplane"
	"github.com/sallyport/sallyport/internal/pki"
	"github.com/sallyport/sallyport/internal/resource"
)

// errNoClientCertificate is also the answer to an ARN of ACM: these operations
// know generated certificates only.
var errNoClientCertificate = missing("client certificate")

// generateClientCertificate makes a certificate and its key, which no answer
// carries: it is sealed at once and opened only for the second gate.
func (s *service) generateClientCertificate(ctx context.Context, _ *controlplane.Call, in *apigateway.GenerateClientCertificateInput) (*apigateway.GenerateClientCertificateOutput, error) {
	sealer := s.Options().Sealer
	if sealer == nil {
		return nil, fmt.Errorf("generate a client certificate: no key to seal private keys with")
	}
	generated, err := pki.NewClientCertificate(s.Now())
	if err != nil {
		return nil, err
	}
	key, err := generated.PKCS8()
	if err != nil {
		return nil, err
	}
	var made types.ClientCertificate
	_, err = s.Change(ctx, func(c *controlplane.Change) error {
		id := newID(clientCertificateIDLength)
		if made, err = resource.NewClientCertificate(in, id, generated); err != nil {
			return err
		}
		if err := c.Claim(resource.ClientCertificatesMarker); err != nil {
			return err
		}
		all, err := controlplane.ListIn[types.ClientCertificate](c, resource.PrefixClientCertificates)
		if err != nil {
			return err
		}
		if err := resource.RoomForClientCertificate(len(all)); err != nil {
			return err
		}
		c.Create(resource.ClientCertificateKey(id), made)
		c.Create(resource.ClientMaterialKey(id), resource.Material{
			Certificate: *made.PemEncodedCertificate,
			Sealed:      sealer.Seal(id, key),
		})
		return nil
	})
	return answer[apigateway.GenerateClientCertificateOutput](made, err)
}

func (s *service) clientCertificate(read reader, id *string) (types.ClientCertificate, error) {
	name, ok := resource.ParseClientCertificate(aws.ToString(id))
	if !ok || name.ACM {
		return types.ClientCertificate{}, errNoClientCertificate
	}
	return fetch[types.ClientCertificate](read, name.Document(), errNoClientCertificate)
}

func (s *service) getClientCertificate(ctx context.Context, _ *controlplane.Call, in *apigateway.GetClientCertificateInput) (*apigateway.GetClientCertificateOutput, error) {
	return answer[apigateway.GetClientCertificateOutput](s.clientCertificate(s.reader(ctx), in.ClientCertificateId))
}

func (s *service) getClientCertificates(ctx context.Context, _ *controlplane.Call, in *apigateway.GetClientCertificatesInput) (*apigateway.GetClientCertificatesOutput, error) {
	page, next, err := pageOf[types.ClientCertificate](ctx, s, resource.PrefixClientCertificates, in.Limit, in.Position)
	if err != nil {
		return nil, err
	}
	return &apigateway.GetClientCertificatesOutput{Items: documents(page), Position: next}, nil
}

func (s *service) updateClientCertificate(ctx context.Context, _ *controlplane.Call, in *apigateway.UpdateClientCertificateInput) (*apigateway.UpdateClientCertificateOutput, error) {
	var after types.ClientCertificate
	_, err := s.Change(ctx, func(c *controlplane.Change) error {
		before, err := s.clientCertificate(c.Get, in.ClientCertificateId)
		if err != nil {
			return err
		}
		if after, err = resource.UpdateClientCertificate(before, in.PatchOperations); err != nil {
			return err
		}
		write(c, resource.ClientCertificateKey(*in.ClientCertificateId), before, after)
		return nil
	})
	return answer[apigateway.UpdateClientCertificateOutput](after, err)
}

// deleteClientCertificate also ends the rotations from the certificate.
func (s *service) deleteClientCertificate(ctx context.Context, _ *controlplane.Call, in *apigateway.DeleteClientCertificateInput) (*apigateway.DeleteClientCertificateOutput, error) {
	_, err := s.Change(ctx, func(c *controlplane.Change) error {
		if _, err := s.clientCertificate(c.Get, in.ClientCertificateId); err != nil {
			return err
		}
		id := *in.ClientCertificateId
		if err := c.Release(resource.ClientCertificateMarker(id)); err != nil {
			return err
		}
		users, err := s.ClientCertificateUsers(ctx)
		if err != nil {
			return err
		}
		if err := resource.DeletableClientCertificate(id, users[id]); err != nil {
			return err
		}
		c.Delete(resource.ClientCertificateKey(id))
		c.Delete(resource.ClientMaterialKey(id))
		return c.EndRotations(id)
	})
	return done[apigateway.DeleteClientCertificateOutput](err)
}

// attach checks the client certificate that after names and before did not, and
// begins, goes on with or ends the stage's rotation. It claims both
// certificates, so that neither is deleted at the same moment.
func (s *service) attach(c *controlplane.Change, api string, before, after types.Stage) error {
	from, to := aws.ToString(before.ClientCertificateId), aws.ToString(after.ClientCertificateId)
	if from == to {
		return nil
	}
	if to != "" {
		if err := s.attachable(c, to); err != nil {
			return err
		}
	}
	key := resource.RotationKey(api, *after.StageName)
	var running *resource.Rotation
	var found resource.Rotation
	stored, err := c.Get(key, &found)
	if err != nil {
		return err
	}
	if stored {
		running = &found
	}
	next := resource.Rotate(before, after, running, s.Now())
	if next != nil {
		name, ok := resource.ParseClientCertificate(next.Previous)
		if ok {
			ok, err = c.Get(name.Material(), nil)
		}
		switch {
		case err != nil:
			return err
		case !ok: // a stage of before certificates were checked
			next = nil
		default:
			if err := c.Claim(name.Marker()); err != nil {
				return err
			}
		}
	}
	switch {
	case next != nil:
		c.Put(key, *next)
	case stored:
		c.Delete(key)
	}
	return nil
}

// attachable refuses a clientCertificateId that stages cannot show to backends,
// and claims the certificate.
func (s *service) attachable(c *controlplane.Change, ref string) error {
	name, err := s.presentable(c.Get, ref)
	if err != nil {
		return err
	}
	return c.Claim(name.Marker())
}

// presentable refuses a clientCertificateId that cannot be shown to backends.
func (s *service) presentable(read reader, ref string) (resource.ClientCertificateName, error) {
	name, ok := resource.ParseClientCertificate(ref)
	switch {
	case !ok:
		return name, resource.AttachableClientCertificate(nil, ref, s.Now())
	case name.ACM:
		var detail acmtypes.CertificateDetail
		var material resource.Material
		found, err := read(name.Document(), &detail)
		if err == nil && found {
			found, err = read(name.Material(), &material)
		}
		if err != nil {
			return name, err
		}
		cert := &detail
		if !found || aws.ToString(detail.CertificateArn) != ref {
			cert = nil
		}
		if err := resource.PresentableCertificate(cert, ref, material.ChainLength(), s.Now()); err != nil {
			return name, err
		}
	default:
		var stored types.ClientCertificate
		found, err := read(name.Document(), &stored)
		if err != nil {
			return name, err
		}
		cert := &stored
		if !found {
			cert = nil
		}
		if err := resource.AttachableClientCertificate(cert, ref, s.Now()); err != nil {
			return name, err
		}
	}
	return name, nil
}
