package middleware

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// defaultMaxQuestions is how many questions are under way at once.
const defaultMaxQuestions = 256

// live keeps the answers of an Introspection that follows the revocation feed.
type live struct {
	follow  *Follower
	kept    *bounded[keptAnswer]
	flights flights[keptAnswer]
	slots   chan struct{}
}

// keptAnswer is what a server said of a token. Each use looks at the follower again.
type keptAnswer struct {
	token *Token
	names []uint64
	asked mark
	until moment
}

func newLive(cfg IntrospectionConfig) *live {
	slots := cfg.MaxQuestions
	if slots == 0 {
		slots = defaultMaxQuestions
	}
	return &live{follow: cfg.Follow, kept: newBounded[keptAnswer](cfg.CacheSize), slots: make(chan struct{}, slots)}
}

// recall returns a token from memory; nil: it must be asked about.
func (l *live) recall(k cacheKey) *Token {
	now := l.follow.clock() // both clocks: the one may be put back, the other may stand still
	found, ok := l.kept.get(k, now.time())
	if !ok || !now.before(found.until) {
		return nil
	}
	err := l.follow.checkAnswer(now, found.names, found.token.IssuedAt, found.asked)
	switch {
	case err == nil:
		l.follow.hits.add(k[0])
		return found.token
	case err != errStale: //nolint:errorlint // checkAnswer returns it as it is
		l.kept.drop(k)
	}
	return nil
}

// verifyLive answers from memory, or asks.
func (v *Introspection) verifyLive(ctx context.Context, text string) (*Token, error) {
	k := hashOf(text)
	if t := v.live.recall(k); t != nil {
		return t, nil
	}
	v.live.follow.begin()
	v.live.follow.asks.Add(1)
	return v.askLive(ctx, k, text)
}

// askLive sends one question about a token at a time. Who comes while it is under way waits, and
// may use a refusal, what may be kept of the answer, or the answer to a later question: an answer
// that is on its way since before the check began may be older than the lease.
func (v *Introspection) askLive(ctx context.Context, k cacheKey, text string) (*Token, error) {
	l, since := v.live, v.live.follow.clock().steady
	for {
		f, mine := l.flights.join(k)
		if mine {
			found, err := l.flights.run(ctx, k, f, func() (keptAnswer, error) { return v.askAndKeep(ctx, k, text) })
			return found.token, err
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if f.valid && (f.err != nil || f.value.asked.steady >= since) {
			return f.value.token, f.err
		}
		if t := l.recall(k); t != nil {
			return t, nil
		}
	}
}

// askAndKeep sends one question, and keeps the answer where it may be kept.
func (v *Introspection) askAndKeep(ctx context.Context, k cacheKey, text string) (none keptAnswer, err error) {
	if err := v.takeSlot(ctx); err != nil {
		return none, err
	}
	defer func() { <-v.live.slots }()
	asked := v.live.follow.mark()
	form := questionAbout(text)
	form.Set("follow", "true")
	a, header, err := v.question(ctx, form)
	if err != nil {
		return none, err
	}
	t, err := a.token()
	if err != nil {
		return none, err
	}
	found := keptAnswer{token: t, asked: asked}
	if a.Position.value != "" { // the server knows what follow means
		found.names = v.live.follow.namesOf(t)
		v.live.keep(k, found, header)
	}
	return found, nil
}

// takeSlot waits until fewer questions are under way than may be.
func (v *Introspection) takeSlot(ctx context.Context) error {
	select {
	case v.live.slots <- struct{}{}:
		return nil
	default:
	}
	timer := time.NewTimer(v.cfg.Timeout)
	defer timer.Stop()
	select {
	case v.live.slots <- struct{}{}:
		return nil
	case <-timer.C:
		return fmt.Errorf("introspection: none of %d questions ended in %s (MaxQuestions, Timeout)",
			cap(v.live.slots), v.cfg.Timeout)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// maxKept is how long an answer is remembered at most. An API key may live for years, and a name
// that ended is remembered for a day.
const maxKept = time.Hour

// keep remembers an answer until the token's exp, and for an hour at most, if nothing of it ended
// since the question. Nobody else has the answer yet.
func (l *live) keep(k cacheKey, found keptAnswer, header http.Header) {
	t := found.token
	if t.Issuer != l.follow.cfg.Issuer || !l.follow.mayKeep(found.names, t.IssuedAt, found.asked) {
		return
	}
	now := l.follow.clock()
	life := maxKept
	if !t.ExpiresAt.IsZero() { // by the server's clock too, if ours is late
		life = min(life, t.ExpiresAt.Sub(now.time()), t.ExpiresAt.Sub(dateOf(header))-time.Second)
	}
	t.compact()
	found.until = now.add(life)
	l.kept.put(k, found, found.until.time(), now.time(), 1)
}
