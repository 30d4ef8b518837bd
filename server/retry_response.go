package server

import (
	"encoding/json"

	"github.com/grantor-auth/grantor/internal/jsonobject"
	"github.com/grantor-auth/grantor/tokens"
)

// retryResponse is the answer of a refresh, which the store keeps sealed for a client that lost it.
// Older nodes read the same members.
type retryResponse struct {
	Refresh string `json:"r"`
	Access  string `json:"a"`
	Scope   string `json:"s"`
}

// plain is the response as SealRetryResponse takes it.
func (r retryResponse) plain() []byte {
	b := append(make(jsonobject.Object, tokens.RetryResponseHead, 512), '{') // Name would take the head for members
	b = jsonobject.AppendText(append(b, `"r":`...), r.Refresh)
	b = jsonobject.AppendText(append(b, `,"a":`...), r.Access)
	b = jsonobject.AppendText(append(b, `,"s":`...), r.Scope)
	return append(b, '}')
}

// repeatAnswer replaces the pair that a retry minted by the pair of the first answer. Where the retry
// asked for another scope, its new access token stays.
func (s *Server) repeatAnswer(x *exchange, text string, rotated *tokens.Rotated, minted *retryResponse) (err error) {
	plain, err := s.codec.OpenRetryResponse(text, rotated.RetryResponse)
	if err != nil {
		return err
	}
	var first retryResponse
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
