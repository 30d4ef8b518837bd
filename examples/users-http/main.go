// Command users-http answers Grantor's questions about its users: POST /grantor.
package main

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

type user struct {
	Sub        string `json:"sub"`
	Username   string `json:"username"`
	Scope      string `json:"scope"`
	Credential string `json:"credential"` // changes with the password
}

type application struct {
	secret string // [users.http] secret: 32 bytes or more
	salt   []byte
	users  map[string]user // your table, by name
}

func (a *application) hash(password string) string {
	key, err := pbkdf2.Key(sha256.New, password, a.salt, 600_000, 32)
	if err != nil {
		panic(err) // only for lengths that are wrong
	}
	return hex.EncodeToString(key)
}

// signed says whether Grantor wrote the body, less than five minutes ago.
func (a *application) signed(header string, body []byte) bool {
	t, signature, found := strings.Cut(strings.TrimPrefix(header, "t="), ",v1=")
	seconds, err := strconv.ParseInt(t, 10, 64)
	if !found || err != nil || time.Since(time.Unix(seconds, 0)).Abs() >= 5*time.Minute {
		return false
	}
	mac := hmac.New(sha256.New, []byte(a.secret))
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return hmac.Equal([]byte(signature), []byte(hex.EncodeToString(mac.Sum(nil))))
}

type question struct{ Username, Password, Sub string }

func (a *application) answer(q question) (int, any) {
	if q.Sub != "" { // a refresh: is this user still welcome?
		for _, u := range a.users {
			if u.Sub == q.Sub {
				return http.StatusOK, u
			}
		}
		return http.StatusUnauthorized, struct{}{}
	}
	u, known := a.users[strings.ToLower(q.Username)]
	given := a.hash(q.Password) // for unknown names too: both take the same time
	switch {
	case !known:
		return http.StatusUnauthorized, struct{}{}
	case subtle.ConstantTimeCompare([]byte(given), []byte(u.Credential)) != 1:
		return http.StatusUnauthorized, map[string]string{"sub": u.Sub} // the failure counts for this user
	}
	return http.StatusOK, u
}

func (a *application) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	status, said := http.StatusForbidden, any(struct{}{}) // neither yes nor no: Grantor answers its client 503
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
	var q question
	if err == nil && a.signed(r.Header.Get("Grantor-Signature"), body) && json.Unmarshal(body, &q) == nil {
		status, said = a.answer(q)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(said)
}

func main() {
	a := &application{secret: os.Getenv("SECRET"), salt: []byte(rand.Text())}
	a.users = map[string]user{"ada": {Sub: "u-1", Username: "ada", Scope: "orders:read", Credential: a.hash(os.Getenv("PASSWORD"))}}
	http.Handle("POST /grantor", a)
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil)) // #nosec G114 -- an example: set the timeouts of a server of your own
}
