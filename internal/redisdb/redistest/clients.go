package redistest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
)

// CopyClient copies the registration of a client n times, as ID-0, ID-1 and so on: by hand, since
// registering a million takes minutes.
func (s *Server) CopyClient(ctx context.Context, id string, n int) error {
	key := func(id string) string {
		return fmt.Sprintf("grantor:clients:{registry}:%02x", sha256.Sum256([]byte(id))[0])
	}
	text, err := s.Client().HGet(ctx, key(id), id).Result()
	if err != nil {
		return err
	}
	const batch = 10_000
	for from := 0; from < n; from += batch {
		p := s.Client().Pipeline()
		for i := from; i < min(from+batch, n); i++ {
			fresh := fmt.Sprintf("%s-%d", id, i)
			p.HSet(ctx, key(fresh), fresh, strings.Replace(text, `"`+id+`"`, `"`+fresh+`"`, 1))
		}
		if _, err := p.Exec(ctx); err != nil {
			return err
		}
	}
	return nil
}
