package server

import "net/http"

// revoke ends a token of the client that asks (RFC 7009 §2). Whatever is not a live token of its own is answered
// alike: 200 without effect. A store that cannot do it is an error, never 200.
func (s *Server) revoke(x *exchange) error {
	text := x.form.Get("token")
	if text == "" {
		return refusal(codeInvalidRequest, "token is required (RFC 7009 §2.1)")
	}
	if t, err := s.codec.Parse(text); err == nil {
		if _, err := s.cfg.Store.Revoke(x, t, x.client.ID); err != nil {
			return err
		}
	}
	writeJSON(x, http.StatusOK, struct{}{})
	return nil
}
