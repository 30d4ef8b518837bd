package console

import (
	"net/http"
	"time"

	"github.com/grantor-auth/grantor/keys"
)

// keyBody is what the page of signing keys shows.
type keyBody struct {
	None    string // why there are no keys; "": there are
	Keys    []keys.Info
	Picture timeline
}

func (c *Console) keys(v *visit) error {
	body, err := c.signingKeys(v)
	if err != nil {
		return err
	}
	c.show(v, "keys", http.StatusOK, "Signing keys", body)
	return nil
}

func (c *Console) signingKeys(v *visit) (body keyBody, err error) {
	var found struct {
		Keys []keys.Info `json:"keys"`
	}
	err = c.ask(v, http.MethodGet, "/admin/v1/signing-keys", nil, &found)
	if refused, ok := asPageError(err); ok && refused.status == http.StatusConflict {
		return keyBody{None: refused.text}, nil
	}
	return keyBody{Keys: found.Keys, Picture: timelineOf(found.Keys, time.Now())}, err
}

func (c *Console) rotateKeys(v *visit) error {
	compromised := v.r.PostForm.Get("do") == "withdraw"
	word := "rotate"
	if compromised {
		word = "withdraw"
	}
	if err := confirmed(v, word); err != nil {
		return err
	}
	var done struct {
		Changed bool `json:"changed"`
	}
	err := c.ask(v, http.MethodPost, "/admin/v1/signing-keys/rotate", map[string]any{"compromised": compromised}, &done)
	switch {
	case err != nil:
		return err
	case !done.Changed:
		return v.again("/console/keys?done=not-rotated")
	case compromised:
		return v.again("/console/keys?done=withdrawn")
	}
	return v.again("/console/keys?done=rotated")
}
