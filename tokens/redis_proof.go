package tokens

import "context"

var issueOnce = newScript("proof", "issue_once")

// IssueOnce implements Store: one script. In a Cluster, a machine's token is on another server than
// its proof: there two commands at once.
func (s *Redis) IssueOnce(ctx context.Context, t Token, r *Record, p Proof) error {
	proof := proofKey(p)
	if t.Kind == UserAccess {
		proof = s.proofKeyBeside(t.Tag, p)
	} else if s.db.Clustered() {
		return s.issueApart(ctx, t, r, p)
	}
	v, err := s.evalAddition(ctx, UnconfirmedReplayMark, issueOnce, []string{tokenKey(t), proof},
		appendIssued(make([]byte, 0, 256), t.Hash, r), r.keepFor(s.Now()).Milliseconds(), t.Hash[:len(ID{})], p.TTL.Milliseconds())
	switch {
	case err != nil:
		return err
	case v != int64(1):
		return ErrProofUsed
	}
	return nil
}

// issueApart writes token and proof at once. A token whose proof was used before is deleted: nobody
// was given its text.
func (s *Redis) issueApart(ctx context.Context, t Token, r *Record, p Proof) error {
	stored := make(chan error, 1)
	go func() { stored <- s.Issue(ctx, t, r) }()
	v, err := s.evalAddition(ctx, UnconfirmedReplayMark, onceScript, []string{proofKey(p)}, t.Hash[:len(ID{})], p.TTL.Milliseconds())
	failed := <-stored
	switch {
	case err != nil:
		return err
	case v != int64(1):
		_, _ = s.db.Del(ctx, tokenKey(t)) // it expires in any case
		return ErrProofUsed
	}
	return failed
}
