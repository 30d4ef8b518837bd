package console

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/grantor-auth/grantor/internal/lockout"
)

const usersPage = 50

// userRow is a user as the admin API shows it.
type userRow struct {
	Sub      string  `json:"sub"`
	Username string  `json:"username"`
	Scope    *string `json:"scope"`
	Disabled bool    `json:"disabled"`
}

// lockedRow is a user who is locked.
type lockedRow struct {
	Sub         string `json:"sub"`
	SubjectHash string `json:"subject_hash"`
	lockout.ShownBudget
}

type userList struct {
	Search  string
	Users   []userRow
	Locked  []lockedRow
	Next    string
	Foreign bool // another's directory: users are found by their sub alone
	Nobody  bool // nobody has the name that was looked for
}

func (c *Console) users(v *visit) error {
	q := v.r.URL.Query()
	if sub := strings.TrimSpace(q.Get("sub")); sub != "" {
		return v.again("/console/user?" + url.Values{"sub": {sub}}.Encode())
	}
	shown := userList{Search: strings.TrimSpace(q.Get("search"))}
	ask := url.Values{"cursor": {q.Get("cursor")}, "limit": {strconv.Itoa(usersPage)}}
	if shown.Search != "" {
		ask = url.Values{"username": {shown.Search}}
	}
	var found struct {
		Users []userRow `json:"users"`
		Next  string    `json:"next_cursor"`
	}
	err := c.ask(v, http.MethodGet, "/admin/v1/users?"+ask.Encode(), nil, &found)
	switch refused, ok := asPageError(err); {
	case ok && refused.status == http.StatusConflict:
		shown.Foreign = true
	case ok && refused.status == http.StatusNotFound:
		shown.Nobody = true
	case err != nil:
		return err
	}
	var locked struct {
		Users []lockedRow `json:"users"`
	}
	if err := c.ask(v, http.MethodGet, "/admin/v1/lockouts", nil, &locked); err != nil {
		return err
	}
	if shown.Users, shown.Locked = found.Users, locked.Users; found.Next != "" {
		shown.Next = "/console/users?" + url.Values{"cursor": {found.Next}}.Encode()
	}
	c.show(v, "users", http.StatusOK, "Users and sessions", shown)
	return nil
}

// sessionRow is a session as the admin API shows it.
type sessionRow struct {
	Session  string    `json:"session"`
	ClientID string    `json:"client_id"`
	Device   string    `json:"device_name"`
	Created  time.Time `json:"created"`
	LastUsed time.Time `json:"last_used"`
	Expires  time.Time `json:"expires"`
	Address  string    `json:"address"`
	Scope    string    `json:"scope"`
}

type userBody struct {
	Sub, SubjectHash string
	User             *userRow // nil: of another's directory
	Sessions         []sessionRow
	Failures         []lockout.ShownBudget
	Locked           bool
}

// Name is what is typed to confirm: the name, or the sub where only that is known.
func (b userBody) Name() string {
	if b.User != nil && b.User.Username != "" {
		return b.User.Username
	}
	return b.Sub
}

func userPath(sub string) string { return "/admin/v1/users/" + url.PathEscape(sub) }

func (c *Console) user(v *visit) error {
	body, err := c.readUser(v, v.r.URL.Query().Get("sub"))
	if err != nil {
		return err
	}
	c.show(v, "user", http.StatusOK, body.Name(), body)
	return nil
}

// readUser reads a user of this directory, or what is known of one of another's.
func (c *Console) readUser(v *visit, sub string) (*userBody, error) {
	body := &userBody{Sub: sub}
	var known userRow
	err := c.ask(v, http.MethodGet, userPath(sub), nil, &known)
	if refused, ok := asPageError(err); err == nil {
		body.User = &known
	} else if !ok || refused.status != http.StatusConflict {
		return nil, err
	}
	var sessions struct {
		Sessions []sessionRow `json:"sessions"`
	}
	var locked struct {
		Hash     string                `json:"subject_hash"`
		Locked   bool                  `json:"locked"`
		Failures []lockout.ShownBudget `json:"failures"`
	}
	query := ""
	if body.User != nil {
		query = "?" + url.Values{"username": {body.User.Username}}.Encode()
	}
	err = errors.Join(
		c.ask(v, http.MethodGet, userPath(sub)+"/sessions", nil, &sessions),
		c.ask(v, http.MethodGet, userPath(sub)+"/lockout"+query, nil, &locked))
	body.Sessions, body.Failures, body.Locked, body.SubjectHash = sessions.Sessions, locked.Failures, locked.Locked, locked.Hash
	return body, err
}

// changeUser does what a form of the page asks for.
func (c *Console) changeUser(v *visit) error {
	f := v.r.PostForm
	sub := f.Get("sub")
	body, err := c.readUser(v, sub)
	if err != nil {
		return err
	}
	path := userPath(sub)
	switch f.Get("do") {
	case "unlock":
		query := ""
		if body.User != nil {
			query = "?" + url.Values{"username": {body.User.Username}}.Encode()
		}
		return c.userDone(v, sub, "unlocked", http.MethodDelete, path+"/lockout"+query, nil)
	case "enable":
		return c.userDone(v, sub, "enabled", http.MethodPatch, path, map[string]any{"disabled": false})
	}
	if err := confirmed(v, body.Name()); err != nil {
		return err
	}
	switch f.Get("do") {
	case "session":
		return c.userDone(v, sub, "session", http.MethodDelete, path+"/sessions/"+url.PathEscape(f.Get("session")), nil)
	case "sessions":
		return c.userDone(v, sub, "sessions", http.MethodDelete, path+"/sessions", nil)
	case "disable":
		return c.userDone(v, sub, "disabled", http.MethodPatch, path, map[string]any{"disabled": true})
	case "password":
		return c.userDone(v, sub, "password", http.MethodPatch, path, map[string]any{"password": f.Get("password")})
	}
	return refusal(http.StatusBadRequest, "this form asks for nothing that a user has")
}

func (c *Console) userDone(v *visit, sub, done, method, path string, body any) error {
	if err := c.ask(v, method, path, body, nil); err != nil {
		return err
	}
	return v.again("/console/user?" + url.Values{"sub": {sub}, "done": {done}}.Encode())
}

// unlockAddress forgets the failed logins of all users from an address.
func (c *Console) unlockAddress(v *visit) error {
	at := strings.TrimSpace(v.r.PostForm.Get("address"))
	if err := c.ask(v, http.MethodDelete, "/admin/v1/lockouts/"+url.PathEscape(at), nil, nil); err != nil {
		return err
	}
	return v.again("/console/users?done=unlocked")
}
