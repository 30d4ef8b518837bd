package clients

import (
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/grantor-auth/grantor/internal/jwt"
)

// clientUse is when a client was last used on this node, by which credential, and when its keys
// were. It is shared by all copies of a client.
type clientUse struct {
	lastUse
	credential atomic.Pointer[string] // of the first use in the last minute

	mu   sync.Mutex
	keys map[string]*lastUse // by credential
}

// maxKeyUses is of how many keys of a client the last use is noted.
const maxKeyUses = 32

// note reports whether this is the first use of a minute.
func (u *clientUse) note(now time.Time) bool { return u != nil && u.lastUse.note(now) }

// key returns the last use of a key; nil: it is none, or the client has too many.
func (u *clientUse) key(credential string) *lastUse {
	if u == nil || !strings.HasPrefix(credential, credentialKey) {
		return nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	use := u.keys[credential]
	if use == nil && len(u.keys) < maxKeyUses {
		if use = new(lastUse); u.keys == nil {
			u.keys = map[string]*lastUse{}
		}
		u.keys[credential] = use
	}
	return use
}

// all returns a copy of the uses of keys.
func (u *clientUse) all() map[string]*lastUse {
	u.mu.Lock()
	defer u.mu.Unlock()
	return maps.Clone(u.keys)
}

// keyCredentials names the keys of a registered set, as Proof does.
func keyCredentials(set *jwt.KeySet) (list []string) {
	for _, name := range set.Names() {
		list = append(list, credentialKey+name)
	}
	return list
}
