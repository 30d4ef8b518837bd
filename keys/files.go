package keys

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// Files reads keys from PEM files, one key a file. Of each algorithm the first file signs; the others are published and accepted. So a
// rotation is: name the new file behind the old one; after the JWKS's max-age name it before; when the last token of
// the old one is dead, name the old one no more.
//
// Files are read again at every look, so one may be replaced in place, at the price that verifiers must fetch the new key first
// and that tokens of the old one are refused.
type Files struct {
	paths []string

	mu   sync.Mutex
	last State
}

// NewFiles returns the store of some files: PKCS #8 ("PRIVATE KEY") or SEC 1 ("EC PRIVATE KEY").
func NewFiles(paths ...string) *Files { return &Files{paths: paths} }

// Load implements Store.
func (f *Files) Load(context.Context) (State, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	hash := sha256.New()
	texts := make([][]byte, len(f.paths))
	for i, path := range f.paths {
		text, err := os.ReadFile(path) // #nosec G304 -- the operator names it
		if err != nil {
			return State{}, fmt.Errorf("signing key: %w", err)
		}
		sum := sha256.Sum256(text)
		hash.Write(sum[:])
		texts[i] = text
	}
	revision := base64.RawURLEncoding.EncodeToString(hash.Sum(nil))
	if revision == f.last.Revision {
		return f.last, nil
	}
	keys, err := f.parse(texts)
	if err != nil {
		return State{}, err
	}
	f.last = State{Revision: revision, Keys: keys}
	return f.last, nil
}

func (f *Files) parse(texts [][]byte) (keys []Key, err error) {
	first, path := map[Algorithm]bool{}, map[string]string{}
	for i, text := range texts {
		k, err := parsePEM(text)
		if err != nil {
			return nil, fmt.Errorf("signing key %s: %w", f.paths[i], err)
		}
		if other, twice := path[k.ID]; twice {
			return nil, fmt.Errorf("signing key %s: it is the same as %s", f.paths[i], other)
		}
		if !first[k.Algorithm] {
			k.From = time.Unix(0, 0) // since ever
		}
		first[k.Algorithm], path[k.ID] = true, f.paths[i]
		keys = append(keys, k)
	}
	return keys, nil
}

// parsePEM reads the one private key of a file. Its errors quote nothing of it.
func parsePEM(text []byte) (Key, error) {
	block, rest := pem.Decode(text)
	if block != nil && block.Type == "EC PARAMETERS" { // openssl ecparam -genkey writes them before the key
		block, rest = pem.Decode(rest)
	}
	if block == nil {
		return Key{}, errors.New("no PEM block")
	}
	if more, _ := pem.Decode(rest); more != nil {
		return Key{}, errors.New("more than one PEM block: one key a file")
	}
	switch block.Type {
	case "PRIVATE KEY":
		return parsePKCS8(block.Bytes)
	case "EC PRIVATE KEY":
		private, err := x509.ParseECPrivateKey(block.Bytes)
		if err != nil {
			return Key{}, errors.New("not the SEC 1 form of a key: is it encrypted?")
		}
		return newKey(private)
	}
	return Key{}, fmt.Errorf("a PEM block %q: it must be PRIVATE KEY (PKCS #8) or EC PRIVATE KEY (SEC 1), not encrypted", block.Type)
}

// Swap implements Store: it never stores.
func (*Files) Swap(context.Context, string, []Key) error { return ErrReadOnly }

// Lease implements Store: there is nothing to lead.
func (*Files) Lease(context.Context, string, time.Duration) (bool, error) { return false, nil }
