package server

import (
	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/jsonobject"
	"github.com/grantor-auth/grantor/tokens"
	"github.com/grantor-auth/grantor/tokens/feed"
)

// feedNames are the names under which the revocation feed ends an access token, beside its jti.
type feedNames struct {
	session string   // of a user's token
	rev     []string // see feed.User and feed.Client; nil: no verifier may remember the token
}

// namesOfClient returns those of a client's own token. None: nobody may remember what is said of
// it; see clients.Client.FeedName.
func namesOfClient(c *clients.Client) feedNames {
	name := c.FeedName()
	if name == "" {
		return feedNames{}
	}
	return feedNames{rev: []string{name}}
}

func namesOfUser(c *clients.Client, session tokens.SessionID, epoch tokens.Epoch) feedNames {
	name := c.FeedName()
	if name == "" {
		return feedNames{}
	}
	return feedNames{feed.Session(session), []string{feed.User(epoch), name}}
}

// names returns those of an active token.
func (s *Server) names(a activeToken) feedNames {
	var own feedNames
	if a.record.Subject == "" {
		own = namesOfClient(a.client)
	} else {
		own = namesOfUser(a.client, a.record.Session, a.record.UserEpoch)
	}
	if a.record.Exchange == nil {
		return own
	}
	return s.namesOfExchanged(own, a)
}

// members adds the names to claims, or to an introspection answer.
func (n feedNames) members(o jsonobject.Object) jsonobject.Object {
	return o.TextOr("sid", n.session).List("rev", n.rev)
}

// appliedPosition returns the position up to which this node had applied the feed, for a verifier
// that follows. Who does not follow gets "". A node that does not know of all ends within the lease
// answers 503: to ask a blind node is no better than to remember.
func (s *Server) appliedPosition(x *exchange) (feed.Position, error) {
	if s.cfg.Feed == nil {
		return "", nil
	}
	switch x.form.Get("follow") {
	case "true":
	case "", "false":
		return "", nil
	default:
		return "", refusal(codeInvalidRequest, "follow must be true or false")
	}
	at, err := s.cfg.Feed.Applied(x)
	if err != nil {
		return "", unavailable(err, "feed_unavailable",
			"this server cannot confirm that it knows of every revocation at this moment; try again")
	}
	return at, nil
}
