// Package registry keeps records in Redis that have no lifetime, by their id: clients and users. A
// record is a text; what it says is its owner's.
//
// The records lie in hashes, the shards, which SHA-256 of the id chooses: no text that somebody
// typed is part of a key's name. The number of shards is part of the layout in Redis and never
// changes. Scripts that change a record are its owner's, since clients change more than one key at
// once; they compare what they find, so that no change undoes another.
package registry

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/grantor-auth/grantor/internal/redisdb"
)

// Errors of Records. Others are Redis's own and mean that it could not answer.
var (
	// ErrUnknown: there is no record with this id.
	ErrUnknown = errors.New("no such record")
	// ErrOvertaken: others kept changing this record.
	ErrOvertaken = errors.New("others keep changing this record")
	// ErrCursor: a text that List did not return as a cursor.
	ErrCursor = errors.New("this is no cursor of this list")
	// ErrAnswer: Redis answered what its protocol does not have.
	ErrAnswer = errors.New("unexpected answer of Redis")
)

// Records are those whose shards have one prefix.
type Records struct {
	db     *redisdb.DB
	prefix string
	shards uint64
}

// New returns the records whose shards are called prefix and two hexadecimal digits; there are at
// most 256.
func New(db *redisdb.DB, prefix string, shards uint64) *Records {
	return &Records{db: db, prefix: prefix, shards: shards}
}

// Key returns the key of the shard that holds id.
func (r *Records) Key(id string) string {
	sum := sha256.Sum256([]byte(id))
	return r.shardKey(uint64(sum[0]) % r.shards)
}

func (r *Records) shardKey(shard uint64) string { return fmt.Sprintf("%s%02x", r.prefix, shard) }

var readScript = redisdb.NewScript(`return redis.call('HGET', KEYS[1], ARGV[1])`)

// Read returns a record, or ErrUnknown.
func (r *Records) Read(ctx context.Context, id string) (string, error) {
	v, err := r.db.Eval(ctx, readScript, []string{r.Key(id)}, id)
	if err != nil {
		return "", err
	}
	if v == nil {
		return "", ErrUnknown
	}
	text, ok := v.(string)
	if !ok {
		return "", ErrAnswer
	}
	return text, nil
}

// maxTries bounds the repetitions of a change that others overtake.
const maxTries = 16

// Change reads a record and has it changed by compare-and-swap, until try says that this is done or
// fails. A record that is gone is ErrUnknown.
func (r *Records) Change(ctx context.Context, id string, try func(before string) (done bool, err error)) error {
	for range maxTries {
		before, err := r.Read(ctx, id)
		if err != nil {
			return err
		}
		if done, err := try(before); done || err != nil {
			return err
		}
	}
	return ErrOvertaken
}
