package server

import (
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/grantor-auth/grantor/internal/jsonobject"
	"github.com/grantor-auth/grantor/keys"
)

const mediaIntrospection = "application/" + typeIntrospection

// signedWanted says whether a caller asks for a signed answer (RFC 9701 §4).
func (s *Server) signedWanted(x *exchange) bool {
	if s.cfg.Keys == nil {
		return false
	}
	for _, value := range x.gin.Request.Header.Values("Accept") {
		for part := range strings.SplitSeq(value, ",") {
			media, params, err := mime.ParseMediaType(part)
			if err == nil && media == mediaIntrospection && params["q"] != "0" {
				return true
			}
		}
	}
	return false
}

// answerIntrospection writes an introspection answer, as JSON or signed (RFC 9701 §5). The signed
// answer is one claim, so that no verifier takes it for an access token (§8.1).
func (s *Server) answerIntrospection(x *exchange, answer []byte) error {
	if !s.signedWanted(x) {
		x.write(http.StatusOK, answer)
		return nil
	}
	body := make(jsonobject.Object, 0, 256+len(answer)).Text("iss", s.cfg.Issuer).Text("aud", x.client.ID)
	body = body.Number("iat", s.now().Unix())
	body = append(body.Name("token_introspection"), answer...).Close()
	text, err := s.cfg.Keys.Sign(s.responseAlg(x), typeIntrospection, body)
	if err != nil {
		return err
	}
	h := x.gin.Writer.Header()
	h.Set("Content-Type", mediaIntrospection)
	h.Set("Content-Length", strconv.Itoa(len(text)))
	x.gin.Writer.WriteHeader(http.StatusOK)
	_, _ = x.gin.Writer.WriteString(text) // nobody is left to hear of the error
	return nil
}

// responseAlg is the client's introspection_signed_response_alg, else RS256 where there is such a
// key (RFC 9701 §6), else the server's.
func (s *Server) responseAlg(x *exchange) keys.Algorithm {
	for _, alg := range []keys.Algorithm{keys.Algorithm(x.client.ResponseAlg), keys.RS256} {
		if alg != "" && s.signsWith(alg) {
			return alg
		}
	}
	return s.cfg.SigningAlg
}
