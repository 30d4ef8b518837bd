package server

import (
	"encoding/json"

	"github.com/grantor-auth/grantor/internal/jsonobject"
	"github.com/grantor-auth/grantor/tokens"
)

// refreshAnswer is the answer of a refresh, which the store keeps sealed for a client that lost it.
// Its members are a format in Redis.
type refreshAnswer struct {
	Refresh string `json:"r"`
	Access  string `json:"a"`
	Scope   string `json:"s"`
}

// sealable is the answer as SealRetryResponse takes it.
func (r refreshAnswer) sealable() []byte {
	b := append(make(jsonobject.Object, tokens.RetryResponseHead, 512), '{') // Name would take the head for members
	b = jsonobject.AppendText(append(b, `"r":`...), r.Refresh)
	b = jsonobject.AppendText(append(b, `,"a":`...), r.Access)
	b = jsonobject.AppendText(append(b, `,"s":`...), r.Scope)
	return append(b, '}')
}

// repeatAnswer replaces the pair that a retry minted by the pair of the first answer. Where the
// retry asked for another scope, its new access token stays.
func (s *Server) repeatAnswer(
	x *exchange, text string, rotated *tokens.Rotated, minted *refreshAnswer,
) (err error) {
	plain, err := s.codec.OpenRetryResponse(text, rotated.RetryResponse)
	if err != nil {
		return err
	}
	var first refreshAnswer
	if err := json.Unmarshal(plain, &first); err != nil {
		return err
	}
	if rotated.NewAccess {
		minted.Refresh = first.Refresh
		return nil
	}
	*minted = first
	x.issued, err = s.read(x, first.Access)
	return err
}
