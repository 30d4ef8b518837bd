package console

import (
	"net/http"
	"strings"
	"time"
)

// explanation is what the admin API says of a token: nothing of the token itself.
type explanation struct {
	Kind        string     `json:"kind"`
	Format      string     `json:"format"`
	Checksum    string     `json:"checksum"`
	Ours        *bool      `json:"ours"`
	Active      bool       `json:"active"`
	Why         string     `json:"reason"`
	Meaning     string     `json:"meaning"`
	ClientID    string     `json:"client_id"`
	Sub         string     `json:"sub"`
	SubType     string     `json:"sub_type"`
	SubjectHash string     `json:"subject_hash"`
	Username    string     `json:"username"`
	Session     string     `json:"session"`
	Scope       string     `json:"scope"`
	Audience    []string   `json:"aud"`
	JTI         string     `json:"jti"`
	IssuedAt    *time.Time `json:"issued"`
	ExpiresAt   *time.Time `json:"ends"`
}

// What names the kind of the text.
func (e explanation) What() string {
	return strings.TrimSpace(e.Format + " " + strings.ReplaceAll(e.Kind, "_", " "))
}

// Made says whether this deployment made the text.
func (e explanation) Made() string {
	switch {
	case e.Ours == nil:
		return "nobody can tell"
	case *e.Ours:
		return "yes"
	}
	return "no"
}

type tokenBody struct {
	*explanation // nil: nothing was asked
	Caller       string
}

func (c *Console) tokenPage(v *visit) error {
	c.show(v, "token", http.StatusOK, "Check a token", tokenBody{})
	return nil
}

// explainToken answers the form itself: the token stands in no URL, and not in the page.
func (c *Console) explainToken(v *visit) error {
	ask := map[string]any{"token": strings.TrimSpace(v.r.PostForm.Get("token"))}
	body := tokenBody{Caller: strings.TrimSpace(v.r.PostForm.Get("caller"))}
	if body.Caller != "" {
		ask["caller"] = body.Caller
	}
	if err := c.ask(v, http.MethodPost, "/admin/v1/tokens/explain", ask, &body.explanation); err != nil {
		return err
	}
	c.show(v, "token", http.StatusOK, "Check a token", body)
	return nil
}

// Asked says whether there is an answer to show.
func (b tokenBody) Asked() bool { return b.explanation != nil }
