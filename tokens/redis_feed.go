package tokens

import (
	"context"
	"errors"
	"fmt"

	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/tokens/feed"
)

// redisStream is the feed of a store in Redis.
type redisStream struct {
	*feed.Redis
	store *Redis
}

// Feed implements Store.
func (s *Redis) Feed() feed.Stream { return redisStream{feed.NewRedis(s.db), s} }

// Editions implements feed.Stream.
func (f redisStream) Editions(ctx context.Context, list []feed.Configured) (map[string]Epoch, error) {
	return f.store.editions(ctx, list)
}

// maxOvertaken is how often a change is tried that others overtake.
const maxOvertaken = 10

var errOvertaken = fmt.Errorf("%w: others keep changing this at the same time", redisdb.ErrUnavailable)

// endNamed ends one thing that has a name, and appends the name to the feed: always before the end
// is answered, and never for what was not there. It reports whether this call ended it.
//
// script ends the thing in keys. Its last three arguments are a nonce and the name, for
// append_end, and whether it shall only look. Outside of a Cluster it does all in one step. In a
// Cluster the feed is in another slot. So the script looks first, and then the name is appended,
// and confirmed by replicas, before the thing is ended. Whatever fails between, a repetition at any
// node finds the thing and begins anew; one that finds nothing knows that the name was appended.
func (s *Redis) endNamed(ctx context.Context, name string, script *redisdb.Script, keys []string, args ...any) (bool, error) {
	if s.db.Clustered() {
		n, err := s.db.EvalDurable(ctx, script, keys, append(args[:len(args):len(args)], "", "", 1)...)
		if n != int64(1) { // nothing is there, if err is nil; what ended it before is confirmed then
			return false, err
		}
	}
	return s.endBy(ctx, name, script, keys, args...)
}

// endBy appends a name ("": none) to the feed and runs a script that ends what has the name, in one
// step or, in a Cluster, one after the other. It reports whether the script returned 1. The last
// arguments of the script are a nonce and the name, for append_end.
func (s *Redis) endBy(ctx context.Context, name string, script *redisdb.Script, keys []string, args ...any) (bool, error) {
	args = args[:len(args):len(args)]
	switch {
	case s.db.Clustered():
		if err := s.announce(ctx, name); err != nil {
			return false, err
		}
		args = append(args, "", "")
	case name == "":
		args = append(args, "", "")
	default:
		keys, args = append(keys[:len(keys):len(keys)], feed.StreamKey), append(args, feed.Nonce(), name)
	}
	n, err := s.db.EvalDurable(ctx, script, keys, args...)
	return n == int64(1), err
}

// announce appends a name. Its errors say that nothing was ended, whatever became of the name.
func (s *Redis) announce(ctx context.Context, name string) error {
	if name == "" {
		return nil
	}
	err := feed.NewRedis(s.db).Append(ctx, feed.End{Names: []string{name}})
	if err == nil {
		return nil
	}
	return notAnnounced{err}
}

// notAnnounced: the feed did not confirm a name, so what has the name was not ended. It does not
// unwrap: the outcome of what the caller asked for is known.
type notAnnounced struct{ cause error }

func (e notAnnounced) Error() string {
	return "nothing was ended, because the revocation feed did not confirm it: " + e.cause.Error()
}

// Is says that it may be tried again.
func (notAnnounced) Is(target error) bool { return target == redisdb.ErrUnavailable } //nolint:errorlint // as errors.Is demands

// StoreFault says that the store failed; see Store.
func (notAnnounced) StoreFault() {}

// unconfirmed says whether a name was appended, and too few replicas have it.
func (e notAnnounced) unconfirmed() bool { return errors.Is(e.cause, redisdb.ErrNotDurable) }
