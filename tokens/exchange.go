package tokens

import (
	"fmt"
	"time"
)

// Exchange is what an exchanged token came from (RFC 8693), and who acts with it. The token is
// active only while all tokens that it came from are. So whatever ends one of these ends it too,
// with the one write that ends that one.
type Exchange struct {
	Parents    []Parent // the tokens that it came from, the first one first; at most MaxParents
	Actor      string   // the id of the client that acts for the subject (RFC 8693 §4.1); "": impersonation
	ActorEpoch Epoch    // the actor's at issue
	Issuer     string   // of a token without parents: the trusted issuer whose JWT it came from
	Subject    string   // likewise: the JWT's sub

	Chain []*Record // the records of Parents, in their order: set by Load, and not stored
}

// Parent is a token that another one came from.
type Parent struct {
	Hash Hash
	JWT  bool // RFC 9068; false: opaque
}

// MaxParents is how many tokens a token comes from at most. Verifiers that follow the revocation
// feed look at 16 names of a token; so long a chain has 15.
const MaxParents = 4

// ErrParentGone: a token that this one came from was revoked, or its record is gone. It is an
// ErrNotFound.
var ErrParentGone = fmt.Errorf("%w: a token that it came from has ended", ErrNotFound)

// Depth is how many exchanges led to the token.
func (e *Exchange) Depth() int {
	switch {
	case e == nil:
		return 0
	case len(e.Chain) > 0 && e.Chain[0].Exchange != nil: // it came from another issuer's JWT
		return len(e.Parents) + 1
	}
	return max(len(e.Parents), 1)
}

// SubjectTypes are what Record.Sub says of a subject.
const (
	SubjectUser    = "user"
	SubjectClient  = "client"
	SubjectForeign = "external" // a subject of a trusted issuer
)

// Sub returns for whom the token speaks, and what the subject is. A foreign subject has its issuer
// before it, so that it is never taken for one of ours with the same name (RFC 9700 §4.15).
func (r *Record) Sub() (subject, subjectType string) {
	switch first := r.first(); {
	case r.Subject != "":
		return r.Subject, SubjectUser
	case first.Exchange != nil && first.Exchange.Issuer != "":
		return first.Exchange.Issuer + "|" + first.Exchange.Subject, SubjectForeign
	default:
		return first.ClientID, SubjectClient
	}
}

// first is the record of the token with which a chain of exchanges began.
func (r *Record) first() *Record {
	if r.Exchange != nil && len(r.Exchange.Chain) > 0 {
		return r.Exchange.Chain[0]
	}
	return r
}

// appendExchangedRecord writes the record of an exchanged token. It begins as that of a client's
// token: its owner is the client that exchanged. Versions before it answer 503 about the token.
func appendExchangedRecord(dst []byte, h Hash, r *Record) []byte {
	dst = appendRecordOfClient(dst, r.Confirmation.versionOf(exchangedRecordV1), h, r)
	e := r.Exchange
	dst = appendText(dst, e.Actor)
	dst = append(dst, e.ActorEpoch[:]...)
	dst = appendText(appendText(dst, e.Issuer), e.Subject)
	dst = append(dst, byte(len(e.Parents))) // #nosec G115 -- at most MaxParents
	for _, p := range e.Parents {
		dst = append(append(dst, parentForm(p.JWT)), p.Hash[:]...)
	}
	return r.Confirmation.appendTo(dst)
}

// The forms of parents in a record.
const (
	parentOpaque = 0
	parentJWT    = 1
)

func parentForm(jwt bool) byte {
	if jwt {
		return parentJWT
	}
	return parentOpaque
}

// isExchanged says whether a value is the record of an exchanged token.
func isExchanged(value []byte) bool {
	return len(value) > 0 && value[0]%recordKinds == exchangedRecordV1
}

// parseExchangedRecord reads the record of an exchanged token of hash h. It returns an error that
// wraps ErrRecord.
func parseExchangedRecord(value []byte, h Hash) (*Record, error) {
	d := recordReader{rest: value}
	return d.ofClient(exchangedRecordV1, h)
}

// exchange reads what appendExchangedRecord writes behind the record of a client.
func (d *recordReader) exchange() *Exchange {
	e := &Exchange{Actor: d.text()}
	copy(e.ActorEpoch[:], d.take(len(e.ActorEpoch)))
	e.Issuer, e.Subject = d.text(), d.text()
	n := int(d.byte())
	if n > MaxParents || n == 0 && e.Issuer == "" {
		d.failed = true
		return e
	}
	for range n {
		form := d.byte()
		p := Parent{JWT: form == parentJWT}
		d.failed = d.failed || form > parentJWT
		copy(p.Hash[:], d.take(len(p.Hash)))
		e.Parents = append(e.Parents, p)
	}
	return e
}

// parseParents reads the records of the tokens that r came from. s is their session; nil: they are
// no user's. A value that is nil is a token that has ended.
func (r *Record) parseParents(values [][]byte, s *Session) error {
	e := r.Exchange
	for i, value := range values {
		if value == nil {
			return ErrParentGone
		}
		p, err := parseParent(value, e.Parents[i].Hash, s)
		if err != nil {
			return err
		}
		e.Chain = e.with(p)
	}
	return nil
}

// with returns the chain with the record of the next parent behind it. A parent that was exchanged
// came from those before it.
func (e *Exchange) with(parent *Record) []*Record {
	if parent.Exchange != nil {
		own := *parent.Exchange
		own.Chain = e.Chain[:len(e.Chain):len(e.Chain)]
		parent.Exchange = &own
	}
	return append(e.Chain[:len(e.Chain):len(e.Chain)], parent)
}

func parseParent(value []byte, h Hash, s *Session) (*Record, error) {
	switch {
	case !isExchanged(value) && s != nil:
		return parseUserRecord(value, h, s)
	case !isExchanged(value):
		return parseClientRecord(value, h)
	}
	r, err := parseExchangedRecord(value, h)
	if err == nil && s != nil {
		s.completeSubject(r)
	}
	return r, err
}

// parentTokens are the parents as tokens of the kind of t, which came from them.
func (e *Exchange) parentTokens(t Token) []Token {
	list := make([]Token, len(e.Parents))
	for i, p := range e.Parents {
		list[i] = Token{Kind: t.Kind, Hash: p.Hash, Tag: t.Tag, Session: t.Session}
	}
	return list
}

// NameOf returns what holders of a parent of t call it: see Token.Name.
func (c *Codec) NameOf(p Parent, t Token) string {
	name := ID(p.Hash[:16])
	if !p.JWT || t.Kind != UserAccess {
		return name.String()
	}
	return name.String() + c.hideSession(name, t.Session).String()
}

// Left is how long the token lasts at a time of the store's clock, in whole seconds: what came from
// it never lasts longer. at is in whole seconds too.
func (r *Record) Left(at time.Time) time.Duration { return r.ExpiresAt().Sub(at).Truncate(time.Second) }
