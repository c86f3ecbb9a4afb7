package controlplane

import (
	"bytes"
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"

	"github.com/sallyport/sallyport/internal/resource"
	"github.com/sallyport/sallyport/internal/store"
)

// ClientCertificateUsers lists the ARNs of the stages that name each client
// certificate, by its clientCertificateId: the id of a generated one or the ARN
// of one in ACM. Whoever acts on it in a change claims the certificate's marker
// first, as UpdateStage does.
func (s *Server) ClientCertificateUsers(ctx context.Context) (map[string][]string, error) {
	docs, _, err := s.options.Store.List(ctx, store.Range{Prefix: resource.PrefixStages})
	if err != nil {
		return nil, err
	}
	users := map[string][]string{}
	for _, d := range docs {
		// Most stages have none, and decoding thousands takes its time.
		if !bytes.Contains(d.Value, []byte(`"clientCertificateId"`)) {
			continue
		}
		var stage types.Stage
		if err := decode(d, &stage); err != nil {
			return nil, err
		}
		key := resource.SplitKey(d.Key, resource.PrefixStages)
		if ref := aws.ToString(stage.ClientCertificateId); ref != "" && len(key) == 2 {
			users[ref] = append(users[ref], resource.StageARN(s.options.Region, key[0], key[1]))
		}
	}
	return users, nil
}

// EndRotations ends the rotations from the client certificate that ref names,
// which the change deletes: no backend is shown it any more.
func (c *Change) EndRotations(ref string) error {
	docs, err := List[resource.Rotation](c.ctx, c.store, store.Range{Prefix: resource.PrefixRotations})
	if err != nil {
		return err
	}
	docs = slices.DeleteFunc(docs, func(d Stored[resource.Rotation]) bool { return d.Doc.Previous != ref })
	for _, d := range docs {
		var now resource.Rotation
		ok, err := c.Get(d.Key, &now)
		if err != nil {
			return err
		}
		if ok && now.Previous == ref {
			c.Delete(d.Key)
		}
	}
	return nil
}
